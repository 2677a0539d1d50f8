"""What the wire tests share: rows as a real server encodes them, links as a blocking socket, a small scanner."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

import psycopg

from checkrein.core.framing import frame
from checkrein.core.identity import Secret
from checkrein.core.target import Link, Profile, Target, TargetTls
from checkrein.dataplane.tls import end_point_binding
from checkrein.protocols.postgres.catalog import CatalogType
from checkrein.protocols.postgres.messages import RowColumn
from tests.support.postgres import Database, PostgresServer

DATA = ord("D")


class Numbers:
    """A scanner for card-like numbers: sixteen digits that stand alone."""

    pattern = re.compile(rb"(?<![0-9A-Za-z])[0-9]{16}(?![0-9A-Za-z])")

    def __init__(self) -> None:
        self.read: list[tuple[bytes, str]] = []

    def hit(self, chunk: bytes) -> bool:
        return self.pattern.search(chunk) is not None

    def places(self, chunk: bytes) -> list[int] | None:
        return [match.end() for match in self.pattern.finditer(chunk)]

    def takes_integers(self, column: str, digits: int) -> bool:
        return digits >= 16

    def rewrite(self, value: bytes, column: str, kind: str, counts: dict[str, int]) -> bytes | None:
        self.read.append((value, kind))
        new, found = self.pattern.subn(b"[card]", value)
        if not found:
            return value
        counts["card"] = counts.get("card", 0) + found
        return new


def cells(database: Database, query: str, binary: bool) -> tuple[tuple[RowColumn, ...], list[list[bytes | None]]]:
    """Run a query on the real server; return its columns and its cells as they stood on the wire."""
    with database.connect() as connection:
        for setting in ("SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, MDY'"):
            connection.execute(setting.encode())
        result = connection.pgconn.exec_params(query.encode(), None, result_format=int(binary))
        assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, result.error_message
        columns = tuple(
            RowColumn((result.fname(at) or b"").decode(), result.ftable(at), result.ftablecol(at), result.ftype(at),
                      result.fsize(at), result.fmod(at), int(binary))
            for at in range(result.nfields)
        )  # fmt: skip
        return columns, [[result.get_value(row, at) for at in range(result.nfields)] for row in range(result.ntuples)]


def data_row(row: list[bytes | None]) -> bytes:
    """Frame one DataRow."""
    body = b"".join(b"\xff\xff\xff\xff" if one is None else len(one).to_bytes(4, "big") + one for one in row)
    return frame(b"D", len(row).to_bytes(2, "big") + body)


def read_rows(data: bytes) -> list[list[bytes | None]]:
    """Take whole DataRow frames apart, checking every length."""
    rows: list[list[bytes | None]] = []
    while data:
        size = int.from_bytes(data[1:5], "big") + 1
        assert data[:1] == b"D" and size <= len(data)
        body, data = data[7:size], data[size:]
        row: list[bytes | None] = []
        while body:
            length = int.from_bytes(body[:4], "big", signed=True)
            assert length <= len(body) - 4
            row.append(None if length < 0 else body[4 : 4 + length])
            body = body[4 + max(length, 0) :]
        rows.append(row)
    return rows


def types_of(database: Database) -> dict[int, CatalogType]:
    """The server's types, as the catalog gives them."""
    found = database.rows(
        "SELECT t.oid::int8, n.nspname, typname, typtype::text, typcategory::text, typelem::int8, typbasetype::int8,"
        " typrelid::int8 FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace"
    )
    return {row[0]: CatalogType(*row) for row in found}


def link_to(server: PostgresServer, database: str = "postgres", tls: str = "disable", **given: Any) -> Link:
    """A link as the dialer would give it."""
    auth = given.get("auth", ("scram-sha-256", "cert"))
    profile = Profile(given.get("name", "default"), given.get("user", server.user), auth=auth)
    cert = given.get("cert", ("", ""))
    target = Target(
        "t", "postgres", server.host, given.get("port", server.port), database,
        tls=TargetTls(mode=tls, ca=server.ca, cert=cert[0], key=cert[1]),
    )  # fmt: skip
    return Link(target, profile, Secret(given.get("password", server.password)))


def start_tls(raw: socket.socket, link: Link) -> tuple[ssl.SSLSocket, bytes]:
    """Start TLS as a client; return the socket and the channel binding."""
    tls = link.target.tls
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    wrapped = context.wrap_socket(raw, server_hostname=link.target.host)
    certificate = wrapped.getpeercert(binary_form=True)
    assert certificate is not None
    return wrapped, end_point_binding(certificate)


class Driver:
    """Drives a TargetLogin or side link over a blocking socket."""

    def __init__(self, link: Link, machine: Any) -> None:
        self.link = link
        self.machine = machine
        self.socket: socket.socket = socket.create_connection((link.target.host, link.target.port), timeout=20)

    def pump(self, out: bytes, done: str) -> None:
        """Send, then read until the attribute `done` is true."""
        while True:
            if out:
                self.socket.sendall(out)
            if getattr(self.machine, done):
                return
            if self.machine.wants_tls:
                self.socket, binding = start_tls(self.socket, self.link)
                out = self.machine.tls_started(binding)
                continue
            data = self.socket.recv(65536)
            assert data, "the server hung up"
            out = self.machine.receive(data)

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
