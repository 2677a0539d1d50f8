"""`checkrein policy`: write, check, test and explain policies, on this machine alone (no gateway is asked)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click

from checkrein.cli import Group, Refused
from checkrein.cli.output import print_json, printable
from checkrein.core.errors import CheckreinError, ConfigurationError, Problem
from checkrein.core.limits import DOCUMENT_BYTES
from checkrein.core.spec import ProtocolSpec
from checkrein.core.target import Target
from checkrein.core.verdict import CustomDetector
from checkrein.policy.compile import Compiled, compile_directory
from checkrein.policy.load import SUFFIXES, load_directory
from checkrein.policy.testing import Bench, Live, Results, fact_record, principal_of, read_input, strictest_of

Files = list[tuple[str, str]]


class Place:
    """The configuration that a command works beside, if there is one."""

    def __init__(self, config: Any | None) -> None:
        self.config = config

    @property
    def targets(self) -> list[Target] | None:
        """The configured targets, None without a configuration."""
        return None if self.config is None else list(self.config.targets.values())

    def live(self, target: Target, profile: str) -> Any:
        """Return a target's catalog over its side link. Raises CheckreinError."""
        if self.config is None or target.name not in self.config.targets:
            raise Refused(f"target {target.name} is not in a configuration; name one with --config")
        from checkrein.cli.live import live_catalog

        return live_catalog(protocols()[target.protocol], target, profile)


def protocols() -> dict[str, ProtocolSpec]:
    """Return every protocol that is built, by name."""
    from checkrein.protocols import PROTOCOLS

    return {spec.name: spec for spec in PROTOCOLS}


def detectors() -> frozenset[str]:
    """Return the names of the detectors that masking knows."""
    from checkrein.masking.detectors import KNOWN

    return frozenset(KNOWN)


def detector_problem(definition: CustomDetector) -> str:
    """Return what masking finds wrong with a detector that a policy defines, an empty string when nothing."""
    from checkrein.masking.detectors import problem

    return problem(definition)


def read_place(file: str | None, beside: str = "") -> Place:
    """Read the configuration named, else CHECKREIN_CONFIG, else `checkrein.yaml` here or beside the policies."""
    named = file or os.environ.get("CHECKREIN_CONFIG")
    found = named or next((str(path) for path in _usual_places(beside) if path.is_file()), None)
    if found is None:
        return Place(None)
    from checkrein.config.load import read_config

    return Place(read_config(found, {name: spec.default_port for name, spec in protocols().items()}))


def _usual_places(beside: str) -> list[Path]:
    places = [Path("checkrein.yaml")]
    return [Path(beside).resolve().parent / "checkrein.yaml", *places] if beside else places


def read_files(directory: str) -> Files:
    """Read the YAML files of a directory tree, hidden ones left out. Raises ConfigurationError."""
    root = Path(directory)
    if not root.is_dir():
        raise ConfigurationError((Problem(directory, 0, 0, "is not a directory"),))
    files: Files = []
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            files.append((str(path), _read(path)))
    return files


def _read(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return source.read(DOCUMENT_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise ConfigurationError((Problem(str(path), 0, 0, f"cannot be read: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise ConfigurationError((Problem(str(path), 0, 0, "is not UTF-8"),)) from None


def compile_files(files: Files, place: Place) -> Compiled:
    """Compile and show warnings on stderr. Raises ConfigurationError."""
    compiled = compile_directory(files, protocols(), place.targets, detectors(), detector_problem)
    for warning in compiled.warnings:
        click.echo(str(warning), err=True)
    return compiled


_config = click.option("--config", "config_file", type=click.Path(dir_okay=False), help="The gateway's configuration.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("policy", cls=Group)
def command() -> None:
    """Write, check, test and explain policies."""


command.later = ("replay", "diff")


@command.command()
@click.argument("directory", type=click.Path(file_okay=False))
@_config
@_json
def check(directory: str, config_file: str | None, as_json: bool) -> None:
    """Check every policy of DIRECTORY and print every problem; exit 1 when one is an error."""
    place = read_place(config_file, directory)
    known = sorted(detectors())
    try:
        compiled = compile_directory(read_files(directory), protocols(), place.targets, known, detector_problem)
    except ConfigurationError as error:
        _show_problems(error.problems, as_json, known)
        raise click.exceptions.Exit(1) from None
    if as_json:
        _show_problems(compiled.warnings, True, known)
        return
    for warning in compiled.warnings:
        click.echo(str(warning), err=True)
    observed = [one.name for one in compiled.snapshot.policies if one.observe]
    if observed:
        click.echo(f"ONLY OBSERVED, NOT ENFORCED: {', '.join(observed)}", err=True)
    click.echo(f"{len(compiled.documents)} policies are good; snapshot {compiled.snapshot.id[:16]}")
    click.echo(f"detectors: {' '.join(known)}")


def _show_problems(problems: tuple[Problem, ...], as_json: bool, known: list[str]) -> None:
    if as_json:
        good = all(problem.severity != "error" for problem in problems)
        shown = [
            {"file": p.file, "line": p.line, "column": p.column, "severity": p.severity, "message": p.message}
            for p in problems
        ]
        print_json({"ok": good, "problems": shown, "detectors": known})
        return
    for problem in problems:
        click.echo(str(problem), err=True)


@command.command("test")
@click.argument("directory", type=click.Path(file_okay=False))
@_config
@click.option("--live", is_flag=True, help="Take schemas from the live targets, not from the tests.")
@click.option("--mutate", is_flag=True, hidden=True)
@_json
def run_tests(directory: str, config_file: str | None, live: bool, mutate: bool, as_json: bool) -> None:
    """Run the *.test.yaml files of DIRECTORY and print which rules they reach; exit 1 when a case fails."""
    if mutate:
        raise click.UsageError("`--mutate` is not built yet: it is not in this version")
    place = read_place(config_file, directory)
    files = read_files(directory)
    compiled = compile_files(files, place)
    fetch: Live | None = place.live if live else None
    bench = Bench(compiled.snapshot, compiled.documents, protocols(), place.targets or (), fetch)
    results = bench.run(load_directory(files).tests)
    if as_json:
        print_json(results.summary())
    else:
        _show_results(results)
    if results.failed:
        raise click.exceptions.Exit(1)


def _show_results(results: Results) -> None:
    for one in results.failed:
        click.echo(f"FAILED {one.file}:{one.line} {printable(one.case)}: {printable(one.why)}")
    reached = sum(1 for hits in results.coverage.values() if hits)
    for rule, hits in results.coverage.items():
        click.echo(f"{hits:6d}  {rule}")
    passed = len(results.outcomes) - len(results.failed)
    click.echo(f"{passed} passed, {len(results.failed)} failed; {reached} of {len(results.coverage)} rules reached")
    if not results.outcomes:
        click.echo("there are no *.test.yaml cases")


@command.command()
@click.option("--target", required=True, help="The target's name.")
@click.option("--as", "subject", required=True, help="The principal's subject.")
@click.option("--groups", multiple=True, help="Its groups; may be given several times, or with commas.")
@click.option("--issuer", default="test", help="Its issuer's configured name.")
@click.option("--profile", default="default", help="The credential profile.")
@click.option("--policies", type=click.Path(file_okay=False), help="A directory of policies, else the configured one.")
@click.option("--schema", "schema_file", type=click.Path(dir_okay=False), help="YAML of table: [columns], else live.")
@click.option("--parameter", "parameters", multiple=True, help="A parameter's value, in order.")
@_config
@click.option("--json", "as_json", is_flag=True, help="The output is JSON with or without it.")
@click.argument("words", nargs=-1, required=True, metavar="STATEMENT")
def explain(words: tuple[str, ...], **options: Any) -> None:
    """Print as JSON how STATEMENT is judged: every rule considered, what decided, and what would change it."""
    place = read_place(options["config_file"], options["policies"] or "")
    directory = options["policies"] or (place.config.policies if place.config is not None else None)
    if directory is None:
        raise click.UsageError("name a configuration with --config, or a directory with --policies")
    compiled = compile_files(read_files(directory), place)
    bench = Bench(compiled.snapshot, compiled.documents, protocols(), place.targets or ())
    target = bench.target(options["target"])
    groups = [group for given in (*options["groups"], *words[:-1]) for group in given.split(",") if group]
    print_json(_explained(bench, place, target, groups, words[-1], options))


def _explained(
    bench: Bench, place: Place, target: Target, groups: list[str], text: str, options: dict[str, Any]
) -> dict[str, Any]:
    from checkrein.policy.cases import AsModel
    from checkrein.policy.explain import explain as explain_facts

    spec = bench.specs[target.protocol]
    catalog = _catalog(spec, place, target, options)
    principal = principal_of(AsModel(subject=options["subject"], issuer=options["issuer"], groups=tuple(groups)))
    parameters = options["parameters"] or None
    judged = []
    for statement in read_input(spec, text, catalog):
        facts = fact_record(principal, target, options["profile"], statement, parameters, time.time())
        judged.append((statement, bench.snapshot.decide(facts), facts))
    if not judged:
        raise Refused("the input holds no statement")
    decisive = strictest_of([(statement, verdict) for statement, verdict, _ in judged])[0]
    shown = explain_facts(bench.snapshot, next(facts for statement, _, facts in judged if statement is decisive))
    refused = bench.snapshot.may_enter(principal, target, options["profile"])
    return {**shown, "may_enter": not refused, **({"login": refused} if refused else {})}


def _catalog(spec: ProtocolSpec, place: Place, target: Target, options: dict[str, Any]) -> Any:
    """Return the catalog to read names by: from --schema, else live."""
    if options["schema_file"] is None:
        return place.live(target, options["profile"])
    from checkrein.policy.yamltree import read_trees

    trees, problems = read_trees(_read(Path(options["schema_file"])), options["schema_file"])
    if problems:
        raise ConfigurationError(tuple(problems))
    schema = trees[0].value if trees else {}
    if not isinstance(schema, dict) or not all(isinstance(columns, list) for columns in schema.values()):
        raise Refused("a schema is a mapping of table: [columns]")
    return None if spec.catalog_of is None else spec.catalog_of(schema)


@command.command()
@click.option("--target", required=True, help="The target's name.")
@click.option("--profile", default="default", help="The credential profile.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write here; an existing file is not replaced.")
@_config
def init(target: str, profile: str, output: str | None, config_file: str | None) -> None:
    """Write a starter policy from the live schema of a target."""
    place = read_place(config_file)
    if place.config is None:
        raise click.UsageError("name a configuration with --config")
    chosen = place.config.targets.get(target)
    if chosen is None:
        raise Refused(f"there is no target {target}; configured are {', '.join(place.config.targets)}")
    make = protocols()[chosen.protocol].starter_policy
    if make is None:
        raise Refused(f"{chosen.protocol} has no starter policy yet")
    text = make(place.live(chosen, profile), target)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with Path(output).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CheckreinError(f"{output} cannot be written: {error.strerror}") from None
