"""From the text of `checkrein.yaml` to a Config, or to everything that is wrong with it at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Final

from checkrein.config.fields import split_address
from checkrein.config.identities import Path, absolute, is_loopback, path_of, resolve_embedded, resolve_issuers
from checkrein.config.model import Gateway
from checkrein.config.targets import resolve_targets
from checkrein.config.values import Config, GatewayTls, Listener, Recording
from checkrein.core.errors import ConfigurationError, Problem
from checkrein.core.limits import DOCUMENT_BYTES
from checkrein.policy.documents import Document, load_documents

KIND: Final = "Gateway"
CONTROL: Final = "control"


def read_config(file: str, protocols: Mapping[str, int]) -> Config:
    """Read and resolve a configuration file. Raises ConfigurationError, also when the file cannot be read."""
    try:
        with FilePath(file).open("rb") as source:
            text = source.read(DOCUMENT_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise ConfigurationError((Problem(file, 0, 0, f"cannot be read: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise ConfigurationError((Problem(file, 0, 0, "is not UTF-8"),)) from None
    return load_config(text, file, protocols)


def load_config(text: str, file: str, protocols: Mapping[str, int]) -> Config:
    """Resolve a configuration's text; paths are relative to the folder of `file`.

    `protocols` maps the name of each protocol that is built to its default port. Raises ConfigurationError with every
    problem; secrets are not resolved here, only their references checked.
    """
    documents = load_documents(text, file, {KIND: Gateway})
    if len(documents) != 1:
        raise ConfigurationError((Problem(file, 0, 0, f"holds {len(documents)} documents of kind {KIND}, not one"),))
    return _Resolver(documents[0], file, protocols).config()


class _Resolver:
    """Resolves one document and collects problems."""

    def __init__(self, document: Document[Gateway], file: str, protocols: Mapping[str, int]) -> None:
        self.document = document
        self.gateway = document.value
        self.file = file
        self.protocols = protocols
        self.folder = os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120  text in, text out
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def report(self, at: Path, message: str) -> None:
        """Note a problem at a path of the document."""
        self.problems.append(self.document.problem(at, message))

    def warn(self, at: Path, message: str) -> None:
        """Note what does not refuse but should be known."""
        self.warnings.append(self.document.problem(at, message, "warning"))

    def config(self) -> Config:
        """Resolve every part. Raises ConfigurationError."""
        gateway = self.gateway
        listeners = self._listeners()
        control = next((one for one in listeners if one.protocol == CONTROL), None)
        issuers = resolve_issuers(gateway, self.folder, self.report)
        embedded = resolve_embedded(gateway.identity.embedded, self.folder, self.report)
        self._check_identity(control)
        config = Config(
            file=self.file,
            data=absolute(self.folder, gateway.data),
            policies=absolute(self.folder, gateway.policies),
            control=control,
            listeners=tuple(one for one in listeners if one.protocol != CONTROL),
            tls=self._tls(),
            issuers=issuers,
            embedded=embedded,
            roles={str(role): groups for role, groups in gateway.people.roles.items()},
            local_approver=gateway.people.local_approver,
            targets=resolve_targets(gateway, self.folder, self.protocols, self.report, self.warn),
            recording=Recording(gateway.recording.durability),
            busy_poll=gateway.busy_poll == "auto",
            warnings=tuple(self.warnings),
        )
        if self.problems:
            raise ConfigurationError(tuple(sorted(self.problems, key=lambda p: (p.line, p.column))))
        return config

    def _listeners(self) -> list[Listener]:
        """Resolve `listen`: only what is named listens, and only for protocols that are built."""
        out: list[Listener] = []
        seen: dict[tuple[str, int], str] = {}
        for protocol, address in self.gateway.listen.items():
            at: Path = ("listen", protocol)
            if protocol != CONTROL and protocol not in self.protocols:
                known = ", ".join([CONTROL, *self.protocols])
                self.report(at, f"a listener for {protocol} is not built yet; this version has: {known}")
                continue
            host, port = split_address(address, self.protocols.get(protocol, 8080))
            if port and (host, port) in seen:
                self.report(at, f"{address} is taken by {seen[host, port]} already")
            seen[host, port] = protocol
            if protocol == CONTROL and not is_loopback(host):
                self.report(at, "the control API listens on loopback only in this version; put a TLS proxy before it")
            out.append(Listener(protocol, host, port))
        return out

    def _tls(self) -> GatewayTls:
        tls = self.gateway.tls
        if (tls.cert is None) != (tls.key is None):
            self.report(("tls",), "give both cert and key, or neither for a private CA under data/")
        return GatewayTls(path_of(self.folder, tls.cert), path_of(self.folder, tls.key), tls.loopback_plaintext)

    def _check_identity(self, control: Listener | None) -> None:
        identity = self.gateway.identity
        if not identity.issuers and identity.embedded is None:
            self.report(("identity",), "nobody could log in: give at least one issuer, or an embedded one")
        if identity.embedded is not None and control is None:
            self.report(("identity", "embedded"), "the embedded issuer needs listen.control, where it is served")
        if self.gateway.targets and not any(name != CONTROL for name in self.gateway.listen):
            self.warn(("listen",), "no listener for any protocol: the targets cannot be reached")
