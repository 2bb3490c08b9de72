from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Match
from starlette.types import Scope

from app.kit.routing import Router
from tests.conftest import client_of

PATH = "/api/v1/orders/00000000-0000-0000-0000-000000000000/lines"


@pytest.fixture
def router() -> Router:
    router = Router(prefix="/orders/{order_id}/lines")

    @router.get("/{line}")
    async def get(order_id: UUID, line: int) -> int:
        return line

    return router


async def test_matches(router: Router) -> None:
    v1 = Router(prefix="/api/v1")
    v1.include_router(router)
    app = FastAPI()
    app.include_router(v1)

    async with client_of(app) as client:
        found = await client.get(f"{PATH}/7")
        not_allowed = await client.post(f"{PATH}/7")
        slash = await client.get(f"{PATH}/7/")

    assert (found.status_code, found.json()) == (200, 7)
    assert not_allowed.status_code == 405
    assert slash.headers["location"].endswith("/lines/7")


def test_other_prefixes_are_skipped(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def matches(_router: APIRouter, scope: Scope) -> tuple[Match, Scope]:
        searched.append(scope["path"])
        return Match.NONE, {}

    monkeypatch.setattr(APIRouter, "matches", matches)
    for path in ("/health/live", "/api/v1/things", f"{PATH}/7"):
        router.matches({"type": "http", "method": "GET", "path": path})

    assert searched == [f"{PATH}/7"]
