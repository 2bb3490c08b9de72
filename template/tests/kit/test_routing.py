from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from app.kit.routing import add_router
from tests.conftest import client_of

PATH = "/api/v1/orders/00000000-0000-0000-0000-000000000000/lines"


async def count() -> int:
    return 1


@pytest.fixture
def router() -> APIRouter:
    router = APIRouter(prefix="/orders/{order_id}/lines", tags=["lines"], responses={418: {}})

    @router.get("/{line}", status_code=203, summary="Get a line")
    async def get(order_id: UUID, line: int, number: Annotated[int, Depends(count)]) -> int:
        return line * number

    return router


@pytest.fixture
def orders(router: APIRouter) -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    add_router(app, router, "/api/v1")
    return app


async def test_matches(orders: FastAPI) -> None:
    async with client_of(orders) as client:
        found = await client.get(f"{PATH}/7")
        not_allowed = await client.post(f"{PATH}/7")
        unknown = await client.get(PATH)

    assert (found.status_code, found.json()) == (203, 7)
    assert not_allowed.status_code == 405
    assert unknown.status_code == 404


def test_schema_is_that_of_fastapi(orders: FastAPI, router: APIRouter) -> None:
    included = FastAPI(redirect_slashes=False)
    included.include_router(router, prefix="/api/v1")

    assert orders.openapi() == included.openapi()


async def test_dependencies_can_be_replaced(orders: FastAPI) -> None:
    async def two() -> int:
        return 2

    orders.dependency_overrides[count] = two
    async with client_of(orders) as client:
        assert (await client.get(f"{PATH}/7")).json() == 14


def test_other_paths_are_skipped(orders: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def matches(_route: APIRoute, scope: Scope) -> tuple[Match, Scope]:
        searched.append(scope["path"])
        return Match.NONE, {}

    monkeypatch.setattr(APIRoute, "matches", matches)
    for path in ("/health/live", "/api/v1/things", f"{PATH}/7"):
        for route in orders.routes:
            route.matches({"type": "http", "method": "GET", "path": path})

    assert set(searched) == {f"{PATH}/7"}


async def test_router_with_another_router_and_a_websocket(router: APIRouter) -> None:
    v1 = APIRouter(prefix="/v1")
    v1.include_router(router)

    @v1.websocket("/changes")
    async def send_changes(websocket: WebSocket) -> None:
        await websocket.accept()

    app = FastAPI()
    add_router(app, v1, "/api")

    async with client_of(app) as client:
        assert (await client.get(f"{PATH}/7")).json() == 7
    assert app.url_path_for("send_changes") == "/api/v1/changes"


@pytest.mark.parametrize("kind", ["lifespan", "startup", "route class"])
async def test_router_with_more_than_endpoints(kind: str) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        events.append("lifespan")
        yield

    class LoudRoute(APIRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            events.append("route class")
            return super().matches(scope)

    router = APIRouter(
        lifespan=lifespan if kind == "lifespan" else None,
        on_startup=[lambda: events.append("startup")] if kind == "startup" else None,
        route_class=LoudRoute if kind == "route class" else APIRoute,
    )
    router.add_api_route("/one", count)
    app = FastAPI()
    add_router(app, router)

    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/one")).json() == 1

    assert kind in events
