"""The configuration: what the documented file resolves to, and that everything wrong is told at once."""

from __future__ import annotations

import pytest

from checkrein.config import Config, load_config, read_config
from checkrein.core.errors import ConfigurationError

PROTOCOLS = {"postgres": 15432}

MINIMAL = """
apiVersion: checkrein/v1
kind: Gateway
listen: {control: "127.0.0.1:8080", postgres: "127.0.0.1:15432"}
identity:
  issuers:
    - {issuer: "https://idp.example.com/realms/corp"}
targets:
  - name: orders
    protocol: postgres
    address: 10.0.0.5:5432
    profiles: {default: {user: app_ro, password: "env:ORDERS_PASSWORD"}}
"""

DOCUMENTED = """
apiVersion: checkrein/v1
kind: Gateway
data: ./data
listen:
  control: 127.0.0.1:8080
  postgres: 127.0.0.1:15432
tls: {cert: file:tls/cert.pem, key: file:tls/key.pem, loopback_plaintext: true}
identity:
  issuers:
    - {name: corp, issuer: https://idp.example.com, audience: checkrein, groups: groups, jwks: auto,
       clients: [support-bot], people: true, may_assert: ["support*"]}
    - {name: ci, issuer: "http://127.0.0.1:9000", insecure_http: true, groups_cel: "claims.roles"}
  embedded:
    agents: [{id: support-bot, groups: [support], secret: env:BOT_SECRET}]
    people: [{id: anna, groups: [oncall], secret: file:secrets/anna}]
people:
  roles: {admin: [platform], approver: [oncall], policy-author: [security], auditor: [audit], viewer: [staff]}
policies: ./policies
targets:
  - name: orders
    protocol: postgres
    address: 10.0.0.5:5433
    database: shop
    labels: {env: prod}
    tls: {mode: verify-full, ca: file:ca.pem}
    mode: enforce
    housekeeping: strict
    max_session: 8h
    profiles:
      default: {user: app_ro, password: env:ORDERS_PASSWORD}
      writer: {user: app_rw, password: file:/run/secrets/rw, auth: [md5]}
recording: {durability: effect, seal: null}
"""


def load(text: str) -> Config:
    return load_config(text, "/etc/checkrein/checkrein.yaml", PROTOCOLS)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_documented_file_resolves() -> None:
    """The file of the documentation gives the targets, paths and identities it says."""
    config = load(DOCUMENTED)
    orders = config.targets["orders"]
    assert (orders.host, orders.port, orders.database, orders.labels) == ("10.0.0.5", 5433, "shop", {"env": "prod"})
    assert (orders.tls.mode, orders.tls.ca) == ("verify-full", "/etc/checkrein/ca.pem")
    assert (orders.housekeeping, orders.max_session, orders.mode) == ("strict", 28800.0, "enforce")
    assert orders.profiles["writer"].password == "file:/run/secrets/rw"
    assert orders.profiles["writer"].auth == ("md5",)
    assert orders.profiles["default"].auth == ("scram-sha-256", "cert")
    assert config.tls.cert == "/etc/checkrein/tls/cert.pem"
    assert config.tls.loopback_plaintext
    assert config.data == "/etc/checkrein/data"
    assert config.policies == "/etc/checkrein/policies"
    assert config.embedded is not None
    anna = {member.id: member for member in config.embedded.members}["anna"]
    assert anna.person
    assert anna.secret == "file:/etc/checkrein/secrets/anna"
    assert config.roles["approver"] == ("oncall",)
    assert config.embedded_url() == "http://127.0.0.1:8080/issuer"
    assert config.embedded_url(9999) == "http://127.0.0.1:9999/issuer"


def test_documented_issuers() -> None:
    """With several issuers nobody asserts plain groups or has roles unless the file says so."""
    corp, ci = (source.issuer for source in load(DOCUMENTED).issuers)
    assert (corp.name, corp.clients, corp.people, corp.may_assert) == ("corp", ("support-bot",), True, ("support*",))
    assert (ci.name, ci.clients, ci.people, ci.may_assert) == ("ci", (), False, ())
    assert ci.groups_cel == "claims.roles"
    assert ci.audiences == ("checkrein",)


def test_embedded_rules_give_roles_to_people_alone() -> None:
    """The embedded issuer's agents are not among those whose groups become roles."""
    rules = load(DOCUMENTED).embedded_rules("http://127.0.0.1:8080/issuer")
    assert rules is not None
    assert rules.people_subjects == frozenset({"anna"})


def test_defaults() -> None:
    """What is left out has the documented default; one issuer alone may assert all and speaks for people."""
    config = load(MINIMAL)
    (source,) = config.issuers
    assert (source.issuer.name, source.issuer.may_assert, source.issuer.people) == ("idp.example.com", ("*",), True)
    orders = config.targets["orders"]
    assert (orders.port, orders.database, orders.tls.mode) == (5432, "orders", "verify-full")
    assert config.recording.durability == "effect"
    assert (orders.housekeeping, orders.unguarded, orders.max_session) == ("normal", False, None)
    assert orders.profiles["default"].auth == ("scram-sha-256", "cert")
    assert (config.tls.loopback_plaintext, config.local_approver, config.busy_poll) == (False, False, True)
    assert (config.data.rsplit("/", 1)[1], config.policies.rsplit("/", 1)[1]) == ("data", "policies")
    assert config.embedded is None
    assert config.warnings == ()


def test_everything_wrong_is_told_at_once_with_its_place() -> None:
    """Problems of different parts of the file come in one answer, each with line and column."""
    text = MINIMAL.replace("address: 10.0.0.5:5432", "address: 10.0.0.5:99999\n    colour: red").replace(
        "https://idp.example.com/realms/corp", "http://idp.example.com"
    )
    found = problems(text)
    assert any("colour" in one and ":12:" in one for one in found), found
    assert any("65535" in one and ":11:" in one for one in found), found
    text = MINIMAL.replace("https://idp.example.com/realms/corp", "http://idp.example.com").replace(
        "protocol: postgres", "protocol: telnet"
    )
    found = problems(text)
    assert any("must be https" in one for one in found)
    assert any("protocol telnet is not built yet; this version has: postgres" in one for one in found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("listen:", "state: postgresql://db\nlisten:", "state: is not built yet"),
        ("listen:", "recordings: s3://bucket\nlisten:", "recordings: is not built yet"),
        ("listen:", "recording: {seal: file:key}\nlisten:", "recording.seal: is not built yet"),
        ("listen:", "recording: {keep: 400d}\nlisten:", "recording.keep: is not built yet"),
        ("address: 10.0.0.5:5432", "via: my-connector", "via: is not built yet"),
        (
            "address: 10.0.0.5:5432",
            "address: 10.0.0.5:5432\n    mode: observe",
            "mode: observe on a target is not built yet",
        ),
        ("address: 10.0.0.5:5432", "address: 10.0.0.5:5432\n    acknowledge_observe: true", "is not built yet"),
        ("env:ORDERS_PASSWORD", "vault:kv/orders", "vault: are not built yet"),
        ('postgres: "127', 'redis: "127', "a listener for redis is not built yet; this version has: control, postgres"),
    ],
)
def test_what_is_not_built_is_refused_by_name(old: str, new: str, says: str) -> None:
    """A key of the contract without machinery is an error that names it, never accepted and ignored."""
    assert any(says in one for one in problems(MINIMAL.replace(old, new))), problems(MINIMAL.replace(old, new))


def test_a_literal_password_is_refused_and_not_repeated() -> None:
    """A secret in the file is refused with what to do, and the error does not show it."""
    found = problems(MINIMAL.replace("env:ORDERS_PASSWORD", "hunter2secret"))
    assert any("a secret must not stand in this file" in one and "env:NAME" in one for one in found)
    assert not any("hunter2secret" in one for one in found)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://idp.example.com", "must be https"),
        ("https://*.example.com", "one exact URL"),
        ("https://user:pw@idp.example.com", "one exact URL"),
        ("ftp://idp.example.com", "must be an https URL"),
        ("https://idp.example.com/?x=1", "one exact URL"),
        ("idp.example.com", "one exact URL"),
    ],
)
def test_issuer_urls(url: str, says: str) -> None:
    """Wildcard, plaintext and sloppy issuer URLs are refused."""
    assert any(says in one for one in problems(MINIMAL.replace("https://idp.example.com/realms/corp", url)))


@pytest.mark.parametrize("name", ["local", "embedded"])
def test_reserved_issuer_names(name: str) -> None:
    """No configured issuer may pass for the socket's people or for the embedded issuer."""
    text = MINIMAL.replace("{issuer:", f"{{name: {name}, issuer:")
    assert any("is the gateway's own" in one for one in problems(text))


def test_two_issuers_of_one_host_need_names() -> None:
    """Names derive from the host; a clash is an error, since name:group must say who spoke."""
    text = MINIMAL.replace("targets:", "    - {issuer: 'https://idp.example.com/realms/b'}\ntargets:")
    assert any("two issuers are named idp.example.com" in one for one in problems(text))


def test_an_issuer_that_stands_twice_is_refused() -> None:
    """One URL with two sets of rules would make the rules depend on order."""
    text = MINIMAL.replace("targets:", "    - {name: b, issuer: 'https://idp.example.com/realms/corp'}\ntargets:")
    assert any("stands twice" in one for one in problems(text))


def test_bad_cel_is_told_at_load() -> None:
    """A groups_cel over an undeclared variable is a problem of the file, not of the first login."""
    text = MINIMAL.replace('corp"}', 'corp", groups_cel: "claimz.x"}')
    assert any("is not CEL over `claims`" in one for one in problems(text))


def test_control_beyond_loopback_is_refused() -> None:
    """The API speaks plain HTTP, so it stays on loopback."""
    assert any("loopback only" in one for one in problems(MINIMAL.replace("127.0.0.1:8080", "0.0.0.0:8080")))


def test_two_listeners_on_one_address_are_refused() -> None:
    """A clash is told before anything is bound."""
    assert any("is taken by control" in one for one in problems(MINIMAL.replace(":15432", ":8080")))


def test_nobody_could_log_in() -> None:
    """A file without any issuer is refused."""
    text = MINIMAL.replace('  issuers:\n    - {issuer: "https://idp.example.com/realms/corp"}\n', "  issuers: []\n")
    assert any("nobody could log in" in one for one in problems(text))


def test_password_needs_a_known_server() -> None:
    """auth: password under tls.mode require would hand the password to whoever answers."""
    text = MINIMAL.replace('PASSWORD"}', 'PASSWORD", auth: [password]}').replace(
        "address:", "tls: {mode: require}\n    address:"
    )
    assert any("needs tls.mode verify-ca or verify-full" in one for one in problems(text))


def test_a_profile_without_anything_to_log_in_with() -> None:
    """Neither password nor certificate: refused at load, not at the first login."""
    text = MINIMAL.replace(', password: "env:ORDERS_PASSWORD"', "")
    assert any("has neither a password" in one for one in problems(text))


def test_weak_settings_warn() -> None:
    """What is allowed but weak is a warning with its place."""
    text = MINIMAL.replace("address:", "tls: {mode: require}\n    unguarded: true\n    address:")
    warnings = [str(one) for one in load(text).warnings]
    assert any("does not know whom it talks to" in one for one in warnings)
    assert any("guardrails are off on orders" in one for one in warnings)


def test_an_unreadable_file_is_a_problem() -> None:
    """A missing file is told like any other problem."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_config("/nonexistent/checkrein.yaml", PROTOCOLS)


def test_ipv6_addresses() -> None:
    """An IPv6 address keeps its brackets in what is printed and loses them in what is dialled."""
    config = load(MINIMAL.replace("127.0.0.1:15432", "[::1]:15432"))
    assert (config.listeners[0].host, config.listeners[0].address) == ("::1", "[::1]:15432")


def test_a_target_names_its_port() -> None:
    """No port is guessed for a target: the listener's own default would lead to the gateway itself."""
    assert any("has no port" in one for one in problems(MINIMAL.replace("10.0.0.5:5432", "10.0.0.5")))


def test_a_listener_has_a_default_port() -> None:
    """A listener may leave its port out."""
    assert load(MINIMAL.replace("127.0.0.1:15432", "127.0.0.1")).listeners[0].port == 15432
