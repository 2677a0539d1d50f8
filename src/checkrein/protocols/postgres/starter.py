"""A first policy for a database, made from its catalog: what `checkrein policy init` prints.

It lets a group read each schema's tables, asks for writes, and masks columns whose names say that they hold something
sensitive. It is a start to be edited: names of columns prove nothing.
"""

# not compiled: runs seldom
from __future__ import annotations

import json
import re
from typing import Final

from checkrein.core.statement import full_name
from checkrein.protocols.postgres.catalog import CatalogRelation, CatalogSnapshot
from checkrein.protocols.postgres.housekeeping import SYSTEM_SCHEMAS

MAX_LISTED: Final = 200
"""Tables listed as a comment beside a schema's rule; more are counted."""

_PARTIAL, _REDACT, _TOKEN = "partial, keep_last: 4", "redact", "token"

_SENSITIVE: Final = (
    (re.compile(r"(^|_)(password|passwd|pwd|passphrase|pin|otp|secret|private_?key|recovery_?code)(_|$)"), _REDACT),
    (re.compile(r"(^|_)(token|api_?key|access_?key|credential|session_?key|refresh)(s)?(_|$)"), _REDACT),
    (re.compile(r"(^|_)(ssn|social_security|sin|nino|tax_?id|national_?id|passport|licen[sc]e)(_|$)"), _PARTIAL),
    (re.compile(r"(^|_)(card_?(no|num|number)|pan|credit_?card|cc_?num(ber)?)(_|$)"), _PARTIAL),
    (re.compile(r"(^|_)(cvv|cvc)(_|$)"), _REDACT),
    (re.compile(r"(^|_)(iban|bic|account_?(no|num|number)|routing)(_|$)"), _PARTIAL),
    (re.compile(r"(^|_)(e_?mail)(_|$)"), _TOKEN),
    (re.compile(r"(^|_)(phone|mobile|fax|msisdn)(_|$)"), _PARTIAL),
    (re.compile(r"(^|_)(birth|dob|birthday|date_of_birth)(_|$)"), '"null"'),
    (re.compile(r"(^|_)(diagnosis|medical|health|salary|wage|religion|ethnicity)(_|$)"), _REDACT),
)
"""Words in a column's name, and the mask that a first policy proposes for it."""

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


def proposed_mask(column: str) -> str:
    """Return the mask that a column's name calls for, as YAML after `with:`, or an empty string."""
    words = _NO_WORD.sub("_", _CAMEL.sub("_", column).lower())
    return next((mask for pattern, mask in _SENSITIVE if pattern.search(words)), "")


def starter_policy(snapshot: CatalogSnapshot, target_name: str) -> str:
    """Return one policy document (YAML, with comments) for the database of the snapshot."""
    tables = _tables(snapshot)
    lines = [
        f"# A first policy for target {target_name}, made from the catalog of database {snapshot.database}.",
        "# Edit it: give the group its real name, narrow the rules, check the proposed masks.",
        "apiVersion: checkrein/v1",
        "kind: Policy",
        f"metadata: {{name: {_scalar(target_name + '-starter')}, description: Made by policy init}}",
        "spec:",
        "  mode: enforce",
        "  subjects: {groups: [agents]}",
        f"  targets: {{names: [{_scalar(target_name)}], protocols: [postgres], profiles: [default]}}",
        "  rules:",
    ]
    labels: set[str] = set()
    for schema in sorted({table.schema for table in tables}) or ["public"]:
        label = _label(schema, labels)
        lines += _schema_rules(schema, label, [table for table in tables if table.schema == schema])
    return "\n".join(lines + _masks(tables)) + "\n"


def _tables(snapshot: CatalogSnapshot) -> list[CatalogRelation]:
    """What people work with: no system relations, no sequences, no partitions (their parent stands for them)."""
    found = [
        relation
        for relation in snapshot.relations.values()
        if relation.schema not in SYSTEM_SCHEMAS
        and relation.kind in "rpvmf"
        and not relation.extension
        and not relation.parents
    ]
    return sorted(found, key=lambda relation: (relation.schema, relation.name))


def _label(schema: str, taken: set[str]) -> str:
    """Return a word for the names of a schema's rules that no other schema's has, and note it."""
    word = re.sub(r"[^a-z0-9]+", "-", schema.lower()).strip("-") or "schema"
    label, number = word, 1
    while label in taken:
        number += 1
        label = f"{word}-{number}"
    taken.add(label)
    return label


def _schema_rules(schema: str, label: str, tables: list[CatalogRelation]) -> list[str]:
    pattern = _scalar(full_name(schema, "*"))
    listed = ", ".join(_comment(table.name) for table in tables[:MAX_LISTED])
    more = f" and {len(tables) - MAX_LISTED} more" if len(tables) > MAX_LISTED else ""
    return [
        f"    # {listed or 'no tables yet'}{more}",
        f"    - name: read-{label}",
        f"      allow: {{verbs: [select], touches: [{pattern}]}}",
        f"    - name: bulk-writes-{label}",
        f'      deny: {{verbs: [update, delete], touches: [{pattern}], when: "!statement.bounded"}}',
        "      message: Give a WHERE clause on the primary key.",
        "      instead: Change one row at a time, by its key.",
        f"    - name: writes-{label}-need-a-person",
        f"      ask: {{verbs: [insert, update, delete], touches: [{pattern}]}}",
        "      approvers: {groups: [approvers], count: 1}",
        "      wait: {hold: 50s, expire: 1h}",
    ]


def _masks(tables: list[CatalogRelation]) -> list[str]:
    found = [
        (full_name(table.schema, table.name, column.name), mask)
        for table in tables
        if table.kind in "rpf"
        for column in table.columns
        if (mask := proposed_mask(column.name))
    ]
    lines = ["  masks:"]
    lines += [f"    - {{columns: [{_scalar(column)}], with: {mask}, inference: deny}}" for column, mask in found]
    if not found:
        lines.append("    # No column's name looked sensitive.")
    return [*lines, "    - {detect: [credit_card, us_ssn, iban, api_key, private_key, jwt], with: redact}"]


def _scalar(text: str) -> str:
    """A double-quoted YAML scalar, which JSON's strings are."""
    return json.dumps(text)


def _comment(text: str) -> str:
    """A name that cannot end its comment line."""
    return "".join(character if character.isprintable() else "?" for character in text)
