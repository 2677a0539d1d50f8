"""Both logins: the target's against the real server and hostile ones, the client's against any bytes."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from checkrein.core.errors import ProtocolError, Unavailable
from checkrein.core.framing import frame
from checkrein.core.identity import Secret
from checkrein.protocols.postgres.login import (
    POOLER_PROBE,
    ClientLogin,
    TargetLogin,
    pooler_reason,
    read_password,
    welcome,
)
from checkrein.protocols.postgres.startup import (
    SSL_REQUEST,
    CancelRequest,
    GssRequest,
    SslRequest,
    Startup,
    negotiate,
    startup_message,
    target_settings,
)
from tests.protocols.postgres.wire import Driver, link_to
from tests.support.postgres import CERT_USER, MD5_USER, PASSWORD_USER, TLS_USER, PostgresServer

SETTINGS = target_settings({"datestyle": "ISO"}, "corp:joé")
NONCE = b"abcdefghijklmnop"


def log_in(server: PostgresServer, nonce: bytes = b"", **given_: object) -> TargetLogin:
    """Log in on the real server and return the finished login."""
    link = link_to(server, **given_)  # type: ignore[arg-type]
    login = TargetLogin(link, SETTINGS, nonce)
    with Driver(link, login) as driver:
        driver.pump(login.start(), "done")
        if link.target.tls.mode == "disable":
            driver.socket.sendall(frame(b"Q", POOLER_PROBE.encode() + b"\0"))
            answer = driver.socket.recv(65536)
            assert str(login.process).encode() in answer
    return login


def test_scram_log_in_holds_what_reading_relies_on(postgres: PostgresServer) -> None:
    """Encoding, string syntax and the principal's name are set at login; process and cancel key are known."""
    login = log_in(postgres)
    assert login.parameters["client_encoding"] == "UTF8"
    assert login.parameters["standard_conforming_strings"] == "on"
    assert login.parameters["application_name"] == "corp:jo?"
    assert login.process > 0 and len(login.key) == 4 and login.surplus == b""


def test_scram_is_bound_to_the_tls_channel(postgres: PostgresServer) -> None:
    """Over TLS SCRAM-SHA-256-PLUS is used and accepted; with the binding of another certificate the server refuses."""
    login = log_in(postgres, tls="verify-full", user=TLS_USER)
    assert login._scram is not None and login._scram.mechanism == "SCRAM-SHA-256-PLUS"

    class Relayed(TargetLogin):
        def tls_started(self, binding: bytes) -> bytes:
            return super().tls_started(hashlib.sha256(binding).digest())

    link = link_to(postgres, tls="verify-full", user=TLS_USER)
    relayed = Relayed(link, SETTINGS)
    with Driver(link, relayed) as driver, pytest.raises(Unavailable):
        driver.pump(relayed.start(), "done")


@pytest.mark.parametrize(
    ("user", "method", "tls"), [(MD5_USER, "md5", "disable"), (PASSWORD_USER, "password", "verify-full")]
)
def test_weaker_methods_only_when_named(postgres: PostgresServer, user: str, method: str, tls: str) -> None:
    """A server that asks for md5 or the password itself is refused unless the profile names that method."""
    with pytest.raises(Unavailable, match=f"asks for {method}"):
        log_in(postgres, user=user, tls=tls)
    assert log_in(postgres, user=user, tls=tls, auth=(method,)).done


@pytest.mark.parametrize("tls", ["disable", "require"])
def test_the_password_itself_only_goes_to_a_verified_target(postgres: PostgresServer, tls: str) -> None:
    """Named or not, over plain connections and unverified TLS the password stays here."""
    with pytest.raises(Unavailable, match="verified by TLS"):
        log_in(postgres, user=PASSWORD_USER, tls=tls, auth=("password",))


def test_a_client_certificate_lets_in_at_once_only_when_allowed(postgres: PostgresServer) -> None:
    """AuthenticationOk without a challenge counts only for a profile with cert and a target with a certificate."""
    assert log_in(postgres, user=CERT_USER, tls="verify-full", cert=postgres.client_cert).done
    with pytest.raises(Unavailable, match="without the authentication"):
        log_in(postgres, user=CERT_USER, tls="verify-full", cert=postgres.client_cert, auth=("scram-sha-256",))


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ({"password": "wrong"}, "28P01"),
        ({"database": "nowhere"}, "3D000"),
    ],
)
def test_a_refused_login_says_why_without_credentials(
    postgres: PostgresServer, given_: dict[str, str], reason: str
) -> None:
    """The SQLSTATE and a sentence reach the client, not the password nor the server's text."""
    with pytest.raises(Unavailable, match=reason) as caught:
        log_in(postgres, **given_)
    assert "wrong" not in str(caught.value) and "nowhere" not in str(caught.value)


def test_a_setting_that_the_role_forces_is_overruled(postgres: PostgresServer) -> None:
    """PG-A7: ALTER ROLE ... SET standard_conforming_strings does not survive our start-up packet."""
    role = postgres.create_role()
    postgres.run("postgres", f"ALTER ROLE {role} SET standard_conforming_strings = off")
    assert log_in(postgres, user=role).parameters["standard_conforming_strings"] == "on"


AUTH_OK = frame(b"R", bytes(4))
SASL = frame(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")


def hostile(*, tls: str = "disable", auth: tuple[str, ...] = ("scram-sha-256", "cert")) -> TargetLogin:
    """A login that has said its first words to a server that the test plays."""
    server = PostgresServer("", 0, "", password="pw")
    login = TargetLogin(link_to(server, tls=tls, auth=auth), SETTINGS, NONCE)
    login.start()
    return login


def test_a_server_that_skips_authentication_is_refused() -> None:
    """A downgrade to trust: AuthenticationOk out of nothing, or in the middle of SCRAM, ends the login."""
    with pytest.raises(Unavailable):
        hostile().receive(AUTH_OK)
    login = hostile()
    login.receive(SASL)
    with pytest.raises(Unavailable):
        login.receive(AUTH_OK)


def scram_server(login: TargetLogin, password: str, iterations: int = 4096) -> bytes:
    """Play SCRAM as a server that knows `password`; return its last message."""
    first = login.receive(SASL)
    info = scramp.ScramMechanism("SCRAM-SHA-256").make_auth_info(password, iteration_count=iterations)
    server = scramp.ScramMechanism("SCRAM-SHA-256").make_server(lambda _: info)
    server.set_client_first(first[first.index(b"n,,") :].decode())
    final = login.receive(frame(b"R", b"\0\0\0\x0b" + server.get_server_first().encode()))
    server.set_client_final(final[5:].decode())
    return frame(b"R", b"\0\0\0\x0c" + server.get_server_final().encode())


def test_the_server_must_prove_that_it_knows_the_password() -> None:
    """A right signature is accepted, one with a bit changed ends the login."""
    assert hostile().receive(b"") == b""
    login = hostile()
    proof = scram_server(login, "pw")
    login.receive(proof + AUTH_OK)
    other = hostile()
    scram_server(other, "pw")
    with pytest.raises(ProtocolError, match="did not prove"):
        other.receive(frame(b"R", b"\0\0\0\x0cv=" + b"A" * 43 + b"="))


@pytest.mark.parametrize("iterations", ["100001", "10000000", "99999999999", "1", "0", "-1", "x"])
def test_a_costly_or_weak_iteration_count_is_refused(iterations: str) -> None:
    """A server can neither hold the loop by a huge count nor get a cheap hash by a small one."""
    login = hostile()
    login.receive(SASL)
    challenge = f"r={NONCE.decode()}server,s=QUJDREVGR0hJSktMTU5PUA==,i={iterations}"
    with pytest.raises(ProtocolError):
        login.receive(frame(b"R", b"\0\0\0\x0b" + challenge.encode()))


@pytest.mark.parametrize(
    "message",
    [
        frame(b"R", b"\0\0\0\x07"),
        frame(b"R", b"\0\0\0\x0aSCRAM-SHA-1\0\0"),
        frame(b"R", b"\0\0\0\x0bx"),
        frame(b"R", b"\0\0"),
        frame(b"D", b"\0\0"),
        frame(b"Z", b"I"),
        frame(b"v", b"\0\3\0\0\0\0\0\0"),
        b"R\xff\xff\xff\xff",
        b"\0" * 5,
    ],
)
def test_anything_else_ends_the_login(message: bytes) -> None:
    """Kerberos, unknown mechanisms, continuation out of order, rows before login, negative and huge lengths."""
    with pytest.raises((Unavailable, ProtocolError)):
        hostile().receive(message)


def test_tls_cannot_be_stripped_or_injected_into() -> None:
    """'N' to an SSLRequest is refused; bytes behind 'S', which would pass for encrypted ones, are too."""
    with pytest.raises(Unavailable, match="does not speak TLS"):
        hostile(tls="require").receive(b"N")
    with pytest.raises(ProtocolError):
        hostile(tls="require").receive(b"S" + AUTH_OK)
    login = hostile(tls="require")
    assert login.receive(b"S") == b"" and login.wants_tls


def test_a_login_without_end_is_ended() -> None:
    """A server that sends notices for ever meets LOGIN_MESSAGES."""
    login = hostile()
    with pytest.raises(ProtocolError, match="does not end"):
        for _ in range(20):
            login.receive(frame(b"N", b"\0") * 100)


@pytest.fixture
def pooler(postgres: PostgresServer, tmp_path: Path) -> Iterator[int]:
    """A real PgBouncer in transaction pooling before the real server; skips where it is not installed."""
    binary = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if binary is None:
        pytest.skip("no pgbouncer on this machine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "users").write_text(f'"{postgres.user}" "{postgres.password}"\n')
    (tmp_path / "ini").write_text(
        f"[databases]\n* = host={postgres.host} port={postgres.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\n"
        f"listen_port={port}\nauth_type=scram-sha-256\nauth_file={tmp_path}/users\npool_mode=transaction\n"
        f"unix_socket_dir=\nuser=nobody\n"
    )
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    process = subprocess.Popen([binary, str(tmp_path / "ini")], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "process up" in line:
            break
    yield port
    process.terminate()
    process.communicate(timeout=10)


def test_a_transaction_pooler_is_found(postgres: PostgresServer, pooler: int) -> None:
    """PgBouncer logs in like a server, but the process it names is not the one that answers."""
    link = link_to(postgres, port=pooler)
    login = TargetLogin(link, SETTINGS)
    with Driver(link, login) as driver:
        driver.pump(login.start(), "done")
    with psycopg.connect(postgres.dsn(), port=pooler, autocommit=True) as connection:
        answer = connection.execute(POOLER_PROBE.encode()).fetchone()
        assert answer is not None
        assert "pooler" in pooler_reason(connection.info.backend_pid, str(answer[0]))
    with postgres.connect() as connection:
        answer = connection.execute(POOLER_PROBE.encode()).fetchone()
        assert answer is not None
        assert pooler_reason(connection.info.backend_pid, str(answer[0])) == ""
    assert pooler_reason(1, None)


START = startup_message({"user": "default", "database": "orders"})


def test_a_client_logs_in_byte_by_byte() -> None:
    """Any cutting gives the same packets: encryption request, start-up, password."""
    login = ClientLogin()
    got = []
    for byte in SSL_REQUEST + START + frame(b"p", b"token\0"):
        packet = login.receive(bytes([byte]))
        if packet is not None:
            got.append(packet)
    assert got[:2] == [SslRequest(), Startup(0, {"user": "default", "database": "orders"})]
    assert isinstance(got[2], Secret) and got[2].reveal() == b"token" and "token" not in repr(got)


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\4",
        b"\0\0\0\7\0\0\0",
        b"\x7f\xff\xff\xff",
        (9).to_bytes(4, "big") + SSL_REQUEST[4:] + b"x",
        SSL_REQUEST + b"x",
        b"\0\0\0\x0d\0\3\0\0user\0",
        b"\0\0\0\x0e\0\3\0\0user\0\0",
        b"\0\0\0\x0b\0\3\0\0\0a\0",
        b"\0\0\0\x12\0\3\0\0a\0b\0a\0c\0\0\0",
        b"\0\0\0\x11\0\3\0\0a\0b\0a\0c\0\0",
        b"\0\0\0\x0d\0\3\0\0a\0\xff\0\0",
        b"\0\0\0\x09\0\2\0\0\0",
        b"\0\0\0\x0c\x04\xd2\x16\x2eabcd",
    ],
)
def test_malformed_start_up_is_refused(data: bytes) -> None:
    """PG-A31: short and huge frames, a dangling key, a name twice, bytes behind a request, protocol 2, short keys."""
    with pytest.raises(ProtocolError):
        ClientLogin().receive(data)


def test_encryption_is_asked_for_once() -> None:
    """A client cannot go round in circles before it logs in."""
    login = ClientLogin()
    gss = (8).to_bytes(4, "big") + (80877104).to_bytes(4, "big")
    assert login.receive(gss) == GssRequest() and login.receive(SSL_REQUEST) == SslRequest()
    with pytest.raises(ProtocolError):
        login.receive(gss)


def test_protocol_3_2_and_long_cancel_keys() -> None:
    """PG-A33: 3.2 and `_pq_` options are negotiated down; a cancel key may have up to 260 bytes."""
    packet = ClientLogin().receive(b"\0\0\0\x1a\0\3\0\2user\0me\0_pq_.x\0y\0\0")
    assert isinstance(packet, Startup) and packet.minor == 2 and packet.extensions == ("_pq_.x",)
    assert negotiate(packet) == frame(b"v", b"\0\3\0\0\0\0\0\1_pq_.x\0")
    assert negotiate(Startup(0, {"user": "me"})) == b""
    key = bytes(range(256)) + b"abcd"
    cancel = (8 + len(key)).to_bytes(4, "big") + (80877102).to_bytes(4, "big") + key
    assert ClientLogin().receive(cancel) == CancelRequest(key)


@pytest.mark.parametrize("data", [b"Q\0\0\0\5\0", b"p\0\0\0\5\0", b"p\0\0\0\7a\0b", b"p\0\0\0\x08a\0b\0", b"p\0\1\0\5"])
def test_only_a_whole_password_passes(data: bytes) -> None:
    """Another message, an empty password, no or an inner zero byte, one over the limit: refused."""
    login = ClientLogin()
    login.receive(START)
    with pytest.raises(ProtocolError):
        login.receive(data)


@given(st.binary(max_size=40))
def test_no_bytes_crash_the_password_reader(data: bytes) -> None:
    """Any bytes give a Secret or a ProtocolError."""
    try:
        secret = read_password(data)
    except ProtocolError:
        return
    assert data == frame(b"p", secret.reveal() + b"\0")[:1] + data[1:5] + secret.reveal() + b"\0"


def test_welcome_is_what_libpq_expects() -> None:
    """AuthenticationOk, parameters, key, ready, as whole frames in this order."""
    assert welcome({"a": "b"}, b"12345678") == AUTH_OK + frame(b"S", b"a\0b\0") + frame(b"K", b"12345678") + frame(
        b"Z", b"I"
    )


def test_other_encodings_are_refused() -> None:
    """PG-A30: an encoding in which a byte of a character may be a quote never reaches the target."""
    with pytest.raises(ProtocolError, match="client_encoding"):
        target_settings({"client_encoding": "SJIS"}, "x")
    assert target_settings({"client_encoding": "iso-8859-1"}, "x")["client_encoding"] == "LATIN1"
