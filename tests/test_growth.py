"""The queries of tables with a million rows use indexes, and the last page costs what the first one does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.project import Project
from tests.variants import Variant

ACCOUNTS = Variant(database=True, redis=False, auth=True, docs=False)
ROWS = 1_000_000
MAX_PAGES = 2000  # of 8 kB; a million rows have 10,000 and more
EXPLAIN = """
import asyncio
import json
import os
import sys

import asyncpg
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import event
from sqlalchemy.pool import Pool

from app import migrations
from app.cli.db import database_url
from app.kit.pagination import Cursor
from app.main import create_app

ROWS = int(sys.argv[1])
FILL = {
    "items": "(title, description, owner_id) SELECT 'Item ' || n, '', $1",
    "orders": "(total, status, owner_id) SELECT n, CASE n % 1000 WHEN 0 THEN 'paid' ELSE 'draft' END, $1",
}
executed = []
plans = {}


# The logger of asyncpg sees the queries of sessions and of readers.
@event.listens_for(Pool, "connect")
def watch(connection, _record):
    connection.driver_connection.add_query_logger(record)


def record(logged):
    if logged.query.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
        executed.append((logged.query, logged.args))


async def measure(url):
    app = create_app()
    connection = await asyncpg.connect(url)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1") as client,
    ):
        email, password = "ada@example.com", "correct horse battery"
        await client.post("/auth/register", json={"email": email, "password": password})
        form = {"username": email, "password": password}
        token = (await client.post("/auth/token", data=form)).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        owner = await connection.fetchval("SELECT id FROM users")
        for table, rest in FILL.items():
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            await connection.execute(
                f"INSERT INTO {table} {rest} FROM generate_series(1, {ROWS}) AS n", owner
            )
            await connection.execute(f"VACUUM ANALYZE {table}")

        async def request(name, method, path, **parameters):
            executed.clear()
            response = await client.request(method, path, params=parameters)
            response.raise_for_status()
            assert executed, name
            plans[name] = []
            for statement, values in list(executed):
                explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
                plans[name].append([statement, json.loads(await connection.fetchval(explain, *values))])
            return response.json() if response.content else None

        for path, order in (("/items", "-created_at"), ("/orders", "-total"), ("/orders", "total")):
            sort = {"sort": order} if path == "/orders" else {}
            await request(f"{path} {order} first", "GET", path, **sort)
            # A row near the end. Nobody reads the 50,000 pages before it.
            column, opposite = order.removeprefix("-"), "" if order.startswith("-") else "DESC"
            value, row_id = await connection.fetchrow(
                f"SELECT {column}, id FROM {path[1:]}"
                f" ORDER BY {column} {opposite}, id {opposite} LIMIT 1 OFFSET 5"
            )
            cursor = Cursor(order, value, row_id).encode()
            page = await request(f"{path} {order} last", "GET", path, cursor=cursor)
            assert (len(page["data"]), page["next_cursor"]) == (5, None), page
        await request("filter", "GET", "/orders", status="paid")
        await request("filter and order", "GET", "/orders", status="paid", sort="-total")
        await request("range", "GET", "/orders", total_min=ROWS - 5)
        [item] = (await request("newest", "GET", "/items", limit=1))["data"]
        await request("one", "GET", f"/items/{item['id']}")
        await request("delete", "DELETE", f"/items/{item['id']}")
    await connection.close()


with database_url() as url:
    migrations.upgrade(url)
    os.environ["DATABASE_URL"] = url
    asyncio.run(measure(url.replace("+asyncpg", "")))
print("PLANS", json.dumps(plans))
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("variant", [ACCOUNTS], ids=str)
def test_a_million_rows(fresh: Project) -> None:
    fields = ("total:decimal:filter,sort", "status:enum[draft,paid]:filter")
    fresh.uv_run("acme-orders", "feature", "new", "orders", *fields)
    output = fresh.uv_run(
        "python", "-c", EXPLAIN, str(ROWS),
        APP_ENVIRONMENT="development", AUTH_RATE_LIMITS="false", LOG_LEVEL="ERROR",
    )  # fmt: skip

    plans = json.loads(output.partition("PLANS ")[2])
    scanned = [
        (name, statement)
        for name, found in plans.items()
        for statement, [explained] in found
        for node in nodes(explained["Plan"])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in {"items", "orders"}
    ]
    assert scanned == []
    pages = {
        name: sum(
            explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"]
            for _, [explained] in found
        )
        for name, found in plans.items()
    }
    assert max(pages.values()) < MAX_PAGES, pages
    for name in [name for name in pages if name.endswith(" first")]:
        assert pages[name.replace("first", "last")] < 2 * pages[name], pages
    fresh.remove_database()
