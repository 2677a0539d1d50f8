"""The `targets` part of the configuration, resolved to core's Target values."""

from __future__ import annotations

from collections.abc import Mapping

from checkrein.config.fields import split_address
from checkrein.config.identities import Path, Report, absolute, is_loopback, path_of
from checkrein.config.model import Gateway, ProfileModel, TargetModel
from checkrein.core.target import Profile, Target, TargetTls


def resolve_targets(
    gateway: Gateway, folder: str, protocols: Mapping[str, int], report: Report, warn: Report
) -> dict[str, Target]:
    """Resolve every target by name; what is wrong goes to `report`, what should be known to `warn`."""
    out: dict[str, Target] = {}
    for index, model in enumerate(gateway.targets):
        at: Path = ("targets", index)
        if model.name in out:
            report((*at, "name"), f"two targets are named {model.name}")
        if model.protocol not in protocols:
            known = ", ".join(protocols)
            report((*at, "protocol"), f"protocol {model.protocol} is not built yet; this version has: {known}")
        elif model.protocol not in gateway.listen:
            warn((*at, "protocol"), f"no listener for {model.protocol}: {model.name} cannot be reached")
        _check(model, at, report)
        out[model.name] = _target(model, at, folder, report, warn)
    return out


def _check(model: TargetModel, at: Path, report: Report) -> None:
    if model.mode == "observe":
        report((*at, "mode"), "mode: observe on a target is not built yet; use mode: observe in a policy")
    if (model.tls.cert is None) != (model.tls.key is None):
        report((*at, "tls"), "give both cert and key, or neither")
    if model.address is None:
        report(at, "address is missing")
    for name, profile in model.profiles.items():
        _check_profile(model, profile, (*at, "profiles", name), report)


def _check_profile(model: TargetModel, profile: ProfileModel, at: Path, report: Report) -> None:
    """A login needs something to log in with, and a plain password only goes to a server that is known."""
    if profile.password is None and model.tls.cert is None:
        report(at, "has neither a password nor tls.cert and tls.key to log in with")
    if "password" in profile.auth and model.tls.mode not in ("verify-ca", "verify-full"):
        report((*at, "auth"), "auth: password sends the password itself; it needs tls.mode verify-ca or verify-full")
    if not profile.auth:
        report((*at, "auth"), "names no method")


def _target(model: TargetModel, at: Path, folder: str, report: Report, warn: Report) -> Target:
    host, port = split_address(model.address, 0) if model.address else ("", 0)
    if model.address and not port:
        report((*at, "address"), "has no port: write host:port")
    if model.tls.mode in ("disable", "require") and host and not is_loopback(host):
        warn((*at, "tls"), f"tls.mode {model.tls.mode} does not know whom it talks to at {host}; use verify-full")
    if model.unguarded:
        warn((*at, "unguarded"), f"guardrails are off on {model.name}")
    return Target(
        name=model.name,
        protocol=model.protocol,
        host=host,
        port=port,
        database=model.database or model.name,
        labels=dict(model.labels),
        tls=TargetTls(model.tls.mode, *(path_of(folder, one) for one in (model.tls.ca, model.tls.cert, model.tls.key))),
        mode=model.mode,
        unguarded=model.unguarded,
        housekeeping=model.housekeeping,
        max_session=model.max_session,
        profiles={name: _profile(name, profile, folder) for name, profile in model.profiles.items()},
    )


def _profile(name: str, model: ProfileModel, folder: str) -> Profile:
    password = absolute(folder, model.password) if model.password else ""
    return Profile(name, model.user, password, model.auth)
