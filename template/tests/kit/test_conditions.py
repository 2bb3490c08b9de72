from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.kit.conditions import ConditionsDep, etag
from app.kit.problems import add_problem_handlers
from tests.conftest import client_of

VERSION = datetime(2026, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)
CURRENT = etag(VERSION)


@pytest.fixture
async def thing() -> AsyncIterator[AsyncClient]:
    app = FastAPI()
    add_problem_handlers(app)

    @app.api_route("/thing", methods=["GET", "PATCH"], operation_id="thing")
    async def thing(conditions: ConditionsDep) -> str:
        conditions.check(VERSION)
        return "content"

    async with client_of(app) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "header", "value", "status"),
    [
        ("GET", "if-none-match", CURRENT, 304),
        ("GET", "if-none-match", f'"other", W/{CURRENT}', 304),
        ("GET", "if-none-match", "*", 304),
        ("GET", "if-none-match", '"other"', 200),
        ("GET", "if-match", '"other"', 412),
        ("PATCH", "if-match", CURRENT, 200),
        ("PATCH", "if-match", "*", 200),
        ("PATCH", "if-match", f'{CURRENT[:-1]}-gzip"', 200),
        ("PATCH", "if-match", f"W/{CURRENT}", 412),
        ("PATCH", "if-match", '"other"', 412),
        ("PATCH", "if-match", "nonsense", 412),
        ("PATCH", "if-none-match", "*", 412),
    ],
)
async def test_condition(
    thing: AsyncClient, method: str, header: str, value: str, status: int
) -> None:
    response = await thing.request(method, "/thing", headers={header: value})

    assert response.status_code == status
    assert (response.headers.get("etag") == CURRENT) is (method == "GET" and status < 400)
    assert (response.content == b"") is (status == 304)


async def test_no_condition(thing: AsyncClient) -> None:
    response = await thing.get("/thing")

    assert response.headers["etag"] == CURRENT
    assert response.headers["cache-control"] == "private, no-cache"


def test_lists() -> None:
    one, two = uuid4(), uuid4()

    assert etag(VERSION, [one, two]) == etag(VERSION, [two, one])
    assert len({etag(VERSION, [one, two]), etag(VERSION, [one]), etag(VERSION, []), CURRENT}) == 4


def test_versions_differ() -> None:
    assert etag(VERSION) != etag(VERSION.replace(microsecond=123457))
