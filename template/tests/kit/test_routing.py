import threading
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.routing import Match
from starlette.types import Scope

from app.kit.routing import Router, async_dependency


class Service:
    """What an endpoint needs; it knows where it was made."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.thread = threading.current_thread()


@pytest.fixture
def router() -> Router:
    router = Router(prefix="/orders/{order_id}/lines")

    @router.get("/{line}")
    async def read(order_id: UUID, line: int) -> int:
        return line

    return router


@pytest.fixture
def client(router: Router) -> AsyncClient:
    v1 = Router(prefix="/api/v1")
    v1.include_router(router)
    app = FastAPI()
    app.include_router(v1)

    @app.get("/service")
    async def service(
        made: Annotated[Service, Depends(async_dependency(Service))],
    ) -> tuple[int, bool]:
        return made.number, made.thread is threading.current_thread()

    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


class TestRouter:
    PATH = "/api/v1/orders/00000000-0000-0000-0000-000000000000/lines"

    async def test_finds_its_own(self, client: AsyncClient) -> None:
        found = await client.get(f"{self.PATH}/7")
        wrong = await client.post(f"{self.PATH}/7")
        slash = await client.get(f"{self.PATH}/7/")

        assert (found.status_code, found.json()) == (200, 7)
        assert wrong.status_code == 405
        assert slash.headers["location"].endswith("/lines/7")

    def test_is_not_searched_for_others(
        self, router: Router, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        searched: list[str] = []

        def search(_router: APIRouter, scope: Scope) -> tuple[Match, Scope]:
            searched.append(scope["path"])
            return Match.NONE, {}

        monkeypatch.setattr(APIRouter, "matches", search)
        for path in ("/service", "/api/v1/items", f"{self.PATH}/7"):
            router.matches({"type": "http", "method": "GET", "path": path})

        assert searched == [f"{self.PATH}/7"]


async def test_async_dependency(client: AsyncClient) -> None:
    assert (await client.get("/service", params={"number": 3})).json() == [3, True]
    assert (await client.get("/service")).status_code == 422
    assert async_dependency(Service) is async_dependency(Service)
