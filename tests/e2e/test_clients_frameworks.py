"""SQLAlchemy's reflection and Django's introspection see through the gateway what they see directly."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.shop import Shop


def _urls(shop: Shop, target: str, driver: str) -> list[sqlalchemy.URL]:
    server, gateway = shop.server, shop.gateway
    make = sqlalchemy.URL.create
    return [
        make(driver, "default", gateway.token("bot"), "127.0.0.1", gateway.port, target),
        make(driver, shop.role, shop.password, server.host, server.port, shop.behind(target).name),
    ]


def _tls(shop: Shop, index: int, driver: str) -> dict[str, Any]:
    if index:
        return {}
    if driver.endswith("asyncpg"):
        return {"ssl": ssl.create_default_context(cafile=str(shop.gateway.ca))}
    return {"sslmode": "verify-full", "sslrootcert": str(shop.gateway.ca)}


def _reflect(connection: sqlalchemy.Connection) -> Any:
    """Everything that the inspector tells of the schema, and a query of a reflected table."""
    inspector: Any = sqlalchemy.inspect(connection)
    found: list[Any] = [
        inspector.get_schema_names(), inspector.get_table_names(), inspector.get_view_names(),
        inspector.get_materialized_view_names(), inspector.get_sequence_names(), inspector.get_enums(),
        inspector.get_temp_table_names(), inspector.has_table("orders"), inspector.has_table("nothing"),
        inspector.has_sequence("numbers"), inspector.get_view_definition("open_orders"),
    ]  # fmt: skip
    for kind in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints"):
        found.append(str(sorted(getattr(inspector, f"get_multi_{kind}")().items(), key=str)))
    found.append(str(sorted(inspector.get_multi_table_comment().items(), key=str)))
    metadata = sqlalchemy.MetaData()
    metadata.reflect(connection, views=True, only=lambda name, _: name != "secrets")
    orders = metadata.tables["orders"]
    found.append([tuple(row) for row in connection.execute(sqlalchemy.select(orders).order_by(orders.c.id).limit(5))])
    found.append(str(orders.c.amount.type))
    with connection.begin_nested():
        scratch = metadata.tables["scratch"]
        values = [{"id": number, "label": "s"} for number in range(5000, 5100)]
        made = connection.execute(sqlalchemy.insert(scratch).returning(scratch.c.id), values)
        found.append(sorted(made.scalars()))
        connection.execute(sqlalchemy.delete(scratch).where(scratch.c.id >= 5000))
    return found


pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'spot'")


@pytest.mark.parametrize("driver", ["postgresql+psycopg2", "postgresql+psycopg"])
def test_sqlalchemy(served: Shop, target: str, driver: str) -> None:
    """The whole inspector, reflected tables, bulk inserts with RETURNING, savepoints, and a pool's reset."""
    found = []
    for index, url in enumerate(_urls(served, target, driver)):
        engine = sqlalchemy.create_engine(url, connect_args=_tls(served, index, driver), pool_pre_ping=True)
        with engine.begin() as connection:
            found.append(_reflect(connection))
        with engine.connect() as connection:
            found[-1].append(connection.execute(sqlalchemy.text("SELECT 1")).scalar())
        engine.dispose()
    assert found[0] == found[1]


def test_sqlalchemy_asyncpg(served: Shop, target: str) -> None:
    """The same over asyncpg."""

    async def run() -> list[Any]:
        found = []
        for index, url in enumerate(_urls(served, target, "postgresql+asyncpg")):
            engine = create_async_engine(url, connect_args=_tls(served, index, "asyncpg"), pool_pre_ping=True)
            async with engine.begin() as connection:
                found.append(await connection.run_sync(_reflect))
            await engine.dispose()
        return found

    through, direct = asyncio.run(run())
    assert through == direct


DJANGO = """
import sys, json, django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **json.loads(sys.argv[1])}},
                   USE_TZ=True, INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.postgres"])
django.setup()
from django.core.management import call_command
from django.db import connection, transaction
call_command("inspectdb", "orders", "kinds", "open_orders", "days", include_views=True, include_partitions=True)
call_command("showmigrations")
tables = ["orders", "kinds", "days"]
with connection.cursor() as cursor:
    print(sorted(map(str, connection.introspection.get_table_list(cursor))))
    for table in tables:
        print(connection.introspection.get_constraints(cursor, table))
        print(connection.introspection.get_relations(cursor, table))
        print(connection.introspection.get_sequences(cursor, table))
    cursor.execute("SELECT id, amount FROM orders WHERE id = ANY(%s) ORDER BY id", [[1, 2, 3]])
    print(cursor.fetchall())
from django.db import models
class Order(models.Model):
    amount = models.DecimalField(max_digits=10, decimal_places=2); status = models.TextField()
    placed = models.DateTimeField()
    class Meta: app_label = "shop"; db_table = "orders"; managed = False
with transaction.atomic():
    print(list(Order.objects.filter(status="open", placed__year=2024).order_by("-id").values("id", "amount")[:5]))
    print(sum(1 for _ in Order.objects.iterator(chunk_size=200)))
    print(Order.objects.filter(amount__gt=10).aggregate(total=models.Sum("amount"), n=models.Count("*")))
    print(Order.objects.values("status").annotate(n=models.Count("id")).order_by("status").explain() != "")
"""


def test_django(served: Shop, target: str) -> None:
    """Django connects (it sets time zone and isolation), inspects the schema, and its ORM reads, streams and counts."""
    pytest.importorskip("django", reason="Django is not installed")
    out = []
    for index, url in enumerate(_urls(served, target, "django")):
        options = _tls(served, index, "psycopg")
        settings = {
            "NAME": url.database, "USER": url.username, "PASSWORD": str(url.password), "HOST": url.host,
            "PORT": url.port, "OPTIONS": options,
        }  # fmt: skip
        code = textwrap.dedent(DJANGO)
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(settings)], capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr[-3000:]
        out.append(done.stdout)
    assert out[0] == out[1]
    assert "class Orders(models.Model)" in out[0]
