"""Errors and notices: ours as libpq reads them, the target's without values."""

from __future__ import annotations

import json

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkrein.core.errors import ProtocolError
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres.errors import (
    build_fields,
    error_response,
    field,
    fix_texts,
    login_reason,
    notice_response,
    parse_fields,
    sqlstate,
    texts_of,
    with_texts,
)
from tests.support.postgres import Database

SECRET = "219-09-9999"
FIELDS = st.lists(
    st.tuples(st.sampled_from(b"SVCMDHPpqWstcdnFLR"), st.binary(max_size=12).map(lambda one: one.replace(b"\0", b""))),
    max_size=10,
)


def payload_of(error: psycopg.Error) -> bytes:
    """The server's fields as they stood on the wire, by libpq's account."""
    assert error.pgresult is not None
    found = [(code, error.pgresult.error_field(code)) for code in b"SVCMDHPpqWstcdnFLR"]
    return build_fields([(code, text) for code, text in found if text is not None])


def fails(database: Database, statement: str) -> bytes:
    """The payload of the error that a statement ends in."""
    with database.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    return payload_of(caught.value)


@given(FIELDS)
def test_fields_round_trip(fields: list[tuple[int, bytes]]) -> None:
    """What is built reads back the same."""
    assert parse_fields(build_fields(fields)) == fields


@pytest.mark.parametrize("payload", [b"", b"M", b"Mabc", b"Mabc\0", b"\0x", b"Ma\0\0\0"])
def test_malformed_payloads_are_refused(payload: bytes) -> None:
    """A payload that is not closed by its only empty field is a protocol error."""
    with pytest.raises(ProtocolError):
        parse_fields(payload)


def test_a_refusal_carries_everything_that_an_agent_can_use() -> None:
    """SQLSTATE, sentence, JSON detail, hint and position stand in their fields; zero bytes cannot split a field."""
    refusal = Refusal(code="denied", reason="no\0pe", rule="r", policy="p", instead="by id", position=7)
    data = error_response(refusal)
    assert data[:1] == b"E" and int.from_bytes(data[1:5], "big") == len(data) - 1
    fields = parse_fields(data[5:])
    assert [field(fields, code) for code in (b"S", b"V", b"C", b"M", b"H", b"P")] == [
        b"ERROR", b"ERROR", b"42501", b"nope", b"by id", b"7",
    ]  # fmt: skip
    assert json.loads(field(fields, b"D"))["rule"] == "r"
    assert sqlstate(error_response(Refusal(code="limit", reason="x"))[5:]) == "54000"
    assert notice_response("held")[:1] == b"N"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (f"SELECT '{SECRET}'::int", b"22P02"),
        (f"INSERT INTO t VALUES ('{SECRET}', 1)", b"23505"),
        (f"INSERT INTO t VALUES ('{SECRET}x', -1)", b"23514"),
        (f"DO $$ BEGIN RAISE EXCEPTION 'a {SECRET}' USING DETAIL='{SECRET}', HINT='{SECRET}'; END $$", b"P0001"),
        (f"DO $$ BEGIN RAISE EXCEPTION 'x' USING TABLE='{SECRET}', COLUMN='{SECRET}', SCHEMA='{SECRET}',"
         f" DATATYPE='{SECRET}', CONSTRAINT='{SECRET}'; END $$", b"P0001"),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE='21909'; END $$", b"P0001"),
        (f"DO $$ BEGIN EXECUTE 'SELECT ''{SECRET}''::int'; END $$", b"22P02"),
        (f"SELECT xpath('{SECRET}', 'x')", b"2200M"),
        (f"SELECT to_date('{SECRET}', 'YYYY-Mon')", b"22007"),
        (f'SELECT "{SECRET}" FROM t', b"42703"),
    ],
)  # fmt: skip
def test_no_text_of_the_server_passes_with_a_value(database: Database, statement: str, code: bytes) -> None:
    """PG-B9, PG-B23: in real errors of ten kinds the value is gone from every field, and the code stays."""
    database.run(f"CREATE TABLE t (ssn text UNIQUE, n int CHECK (n > 0)); INSERT INTO t VALUES ('{SECRET}', 1)")
    payload = fails(database, statement)
    fixed = fix_texts(payload)
    assert SECRET.encode() not in fixed and b"21909" not in fixed
    fields = parse_fields(fixed)
    assert field(fields, b"C") == code
    assert field(fields, b"M") and not any(field(fields, one) for one in (b"D", b"H", b"W", b"q"))


def test_names_set_by_the_servers_own_checks_stay(database: Database) -> None:
    """A client still learns which constraint it violated."""
    database.run("CREATE TABLE t (n int CONSTRAINT positive CHECK (n > 0))")
    fields = parse_fields(fix_texts(fails(database, "INSERT INTO t VALUES (-1)")))
    assert field(fields, b"n") == b"positive" and field(fields, b"t") == b"t"


@given(FIELDS)
def test_fixed_texts_hold_no_free_text(fields: list[tuple[int, bytes]]) -> None:
    """Whatever a target sends, only codes, positions and source names survive."""
    for one, text in parse_fields(fix_texts(build_fields(fields))):
        assert one in b"SVCMPFLR" or (one, text) in fields
        assert one != ord("P") or text.isdigit()


@given(FIELDS)
def test_scrubbed_texts_go_back_to_their_places(fields: list[tuple[int, bytes]]) -> None:
    """Texts out and in again change nothing; a changed text changes its field alone."""
    payload = build_fields(fields)
    texts = texts_of(payload)
    assert with_texts(payload, texts) == payload
    shown = with_texts(payload, tuple(b"#" for _ in texts))
    assert [text for one, text in parse_fields(shown) if one in b"SVCPpFLR"] == [
        text for one, text in fields if one in b"SVCPpFLR"
    ]
    assert set(texts_of(shown)) <= {b"#"}


def test_a_login_reason_holds_no_text_of_the_target() -> None:
    """A hostile target's message does not reach the client, nor a code that is none."""
    payload = build_fields([(ord("C"), b"28P01"), (ord("M"), b"password secret wrong")])
    assert login_reason(payload) == "it does not accept the profile's password (SQLSTATE 28P01)"
    assert login_reason(build_fields([(ord("C"), b"</sec")])) == "SQLSTATE unknown"
