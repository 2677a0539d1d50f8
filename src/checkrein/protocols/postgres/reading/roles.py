"""Roles: creating and altering them, granting membership, settings kept for them, and passwords in the text."""

from __future__ import annotations

from collections.abc import Callable

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres import settings
from checkrein.protocols.postgres.doors import ROLE_SWITCH, SETTING
from checkrein.protocols.postgres.reading import literals
from checkrein.protocols.postgres.reading.part import Part, only_node
from checkrein.protocols.postgres.reading.state import Node, Reader


def _role_part() -> Part:
    part = Part("ddl")
    part.act["ddl"] = True
    return part


def _name(node: Node) -> str:
    """Return the role that a RoleSpec or a plain name is."""
    specification = node.get("role", {})
    if isinstance(specification, dict):
        return str(specification.get("rolename") or specification.get("roletype", "role"))
    return str(specification)


def passwords(reader: Reader) -> None:
    """Note every string constant of a role statement as a credential: which of them is one need not be told apart."""
    position = reader.start
    while position < reader.end:
        position = literals.skip(reader.data, position)
        end = literals.token_end(reader.data, position)
        if reader.data[position:end].endswith(b"'") or reader.data[position : position + 1] == b"$":
            reader.log.secret(position, end)
        position = max(end, position + 1)


def create(reader: Reader, node: Node) -> Part:
    """CREATE ROLE, USER, GROUP."""
    passwords(reader)
    reader.effect(Effect(verb="create", object=full_name(str(node.get("role", ""))), kind="role"))
    return _role_part()


def alter(reader: Reader, node: Node) -> Part:
    """ALTER ROLE."""
    passwords(reader)
    reader.effect(Effect(verb="alter", object=full_name(_name(node)), kind="role"))
    return _role_part()


def alter_set(reader: Reader, node: Node) -> Part:
    """ALTER ROLE ... SET: the same classes as SET; it holds for later sessions."""
    inner = node.get("setstmt", {})
    name = settings.normalise(str(inner.get("name", "")))
    refused = settings.setting_class(name, None) != settings.FREE
    reader.effect(Effect(verb="alter", object=full_name(_name(node)), kind="role", guard=SETTING if refused else ""))
    return _role_part()


def drop(reader: Reader, node: Node) -> Part:
    """DROP ROLE."""
    for item in node.get("roles", []):
        _, inner = only_node(item)
        reader.effect(Effect(verb="drop", object=full_name(str(inner.get("rolename", "role"))), kind="role"))
    return _role_part()


def grant(reader: Reader, node: Node) -> Part:
    """GRANT role TO role: membership is a way to switch roles."""
    for item in node.get("granted_roles", []):
        _, inner = only_node(item)
        name = full_name(str(inner.get("priv_name", "role")))
        reader.effect(Effect(verb="grant", object=name, kind="role", guard=ROLE_SWITCH))
    return _role_part()


def table() -> dict[str, Callable[[Reader, Node], Part]]:
    """Return the handlers by statement type."""
    return {
        "CreateRoleStmt": create, "AlterRoleStmt": alter, "AlterRoleSetStmt": alter_set, "DropRoleStmt": drop,
        "GrantRoleStmt": grant,
    }  # fmt: skip
