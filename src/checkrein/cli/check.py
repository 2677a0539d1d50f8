"""`checkrein check`: what the configuration resolves to, and everything that is wrong with it and its policies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from checkrein.cli import Refused
from checkrein.cli.client import config_file
from checkrein.cli.output import print_json, print_table
from checkrein.config import Config, read_config
from checkrein.core.errors import ConfigurationError, Problem, Unavailable


class Report:
    """What was found: problems, warnings, and what the configuration resolved to."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.config: Config | None = None
        self.problems: list[Problem] = []
        self.policies: list[str] = []
        self.observing: list[str] = []

    def note(self, message: str, severity: str = "error") -> None:
        """Note a problem that has no place in the file."""
        self.problems.append(Problem(self.file, 0, 0, message, severity))

    @property
    def ok(self) -> bool:
        """Whether nothing refuses."""
        return not any(problem.severity == "error" for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values; secrets are not in a configuration, only references."""
        resolved = _resolved(self.config) if self.config is not None else {}
        problems = [msgspec.structs.asdict(problem) for problem in self.problems]
        policies = {"names": self.policies, "observe_only": self.observing}
        return {"ok": self.ok, "file": self.file, **resolved, "policies": policies, "problems": problems}


def examine(file: str) -> Report:
    """Check a configuration file with everything that it refers to on this machine; nothing is connected to."""
    from checkrein.cli.policy import protocols

    report = Report(file)
    try:
        config = read_config(file, {name: spec.default_port for name, spec in protocols().items()})
    except ConfigurationError as error:
        report.problems.extend(error.problems)
        return report
    report.config = config
    report.problems.extend(config.warnings)
    _check_secrets(config, report)
    _check_files(config, report)
    _check_policies(config, report)
    return report


def _check_secrets(config: Config, report: Report) -> None:
    from checkrein.adapters.secrets import resolve, warning

    for reference, purpose in config.secrets().items():
        try:
            resolve(reference)
        except Unavailable as error:
            report.note(f"{purpose}: {error}")
        unsafe = warning(reference)
        if unsafe:
            report.note(f"{purpose}: {unsafe}", "warning")


def _check_files(config: Config, report: Report) -> None:
    """Every certificate, key and authority must be readable."""
    files = {"tls.cert": config.tls.cert, "tls.key": config.tls.key}
    for target in config.targets.values():
        files |= {f"target {target.name}, tls.{part}": getattr(target.tls, part) for part in ("ca", "cert", "key")}
    for source in config.issuers:
        files[f"issuer {source.issuer.name}, ca"] = source.ca
        files[f"issuer {source.issuer.name}, jwks"] = source.jwks.partition("file:")[2]
    for purpose, path in files.items():
        if path and not os.access(path, os.R_OK):
            report.note(f"{purpose}: {path} cannot be read")


def _check_policies(config: Config, report: Report) -> None:
    from checkrein.cli.policy import detectors, protocols, read_files
    from checkrein.policy.compile import compile_directory

    try:
        files = read_files(config.policies)
        compiled = compile_directory(files, protocols(), list(config.targets.values()), detectors())
    except ConfigurationError as error:
        report.problems.extend(error.problems)
        return
    report.problems.extend(compiled.warnings)
    policies = compiled.snapshot.policies
    report.policies = [policy.name for policy in policies]
    report.observing = [policy.name for policy in policies if policy.observe]
    if not policies:
        report.note(f"{config.policies} holds no policy: nobody may log in anywhere", "warning")


def _resolved(config: Config) -> dict[str, Any]:
    listeners = [one for one in (config.control, *config.listeners) if one is not None]
    return {
        "data": config.data,
        "policies_folder": config.policies,
        "certificate": config.tls.cert or f"a private CA under {config.data}",
        "listeners": [{"name": one.protocol, "address": one.address} for one in listeners],
        "issuers": [_issuer(source.issuer, source.jwks) for source in config.issuers],
        "embedded_issuer": config.embedded_url() if config.embedded else None,
        "people": {role: list(groups) for role, groups in config.roles.items()},
        "targets": [_target(target) for target in config.targets.values()],
    }


def _issuer(issuer: Any, jwks: str) -> dict[str, Any]:
    out: dict[str, Any] = msgspec.to_builtins(issuer)
    out.pop("people_subjects", None)
    return {**out, "jwks": jwks}


def _target(target: Any) -> dict[str, Any]:
    out: dict[str, Any] = msgspec.to_builtins(target)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return {**out, "address": f"{host}:{target.port}", "profiles": list(out["profiles"].values())}


def _print(report: Report) -> None:
    for problem in sorted(report.problems, key=lambda one: (one.file, one.line, one.column)):
        click.echo(str(problem), err=True)
    if report.config is None:
        return
    resolved = _resolved(report.config)
    click.echo(f"data          {resolved['data']}")
    click.echo(f"certificate   {resolved['certificate']}")
    print_table(resolved["listeners"], ["name", "address"], "no listeners")
    if resolved["embedded_issuer"]:
        click.echo(f"embedded issuer  {resolved['embedded_issuer']}")
    print_table(resolved["issuers"], ["name", "url", "audiences", "may_assert", "people"], "no other issuers")
    columns = ["name", "protocol", "address", "database", "mode", "unguarded", "housekeeping"]
    print_table(resolved["targets"], columns, "no targets")
    click.echo(f"policies      {Path(report.config.policies)}: {', '.join(report.policies) or 'none that hold'}")
    for name in report.observing:
        click.echo(f"OBSERVE ONLY  policy {name} enforces nothing")


@click.command("check")
@click.option("--config", "file", type=click.Path(dir_okay=False), help="The configuration; default checkrein.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: str | None, as_json: bool) -> None:
    """Check the configuration, what it refers to, and its policies; print what each part resolved to.

    Nothing is connected to (`checkrein targets test` does). Exit status 1 when something refuses.
    """
    report = examine(config_file(file))
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    if not report.ok:
        count = sum(problem.severity == "error" for problem in report.problems)
        raise Refused(f"{report.file}: {count} problem{'s' if count != 1 else ''}")
    if not as_json:
        click.echo(f"{Path(report.file).name}: ok")
