import asyncio
from typing import NoReturn

import pytest
from fastapi import FastAPI

from app.health import router
from tests.conftest import client_of


async def get(app: FastAPI, path: str) -> tuple[int, dict[str, object]]:
    async with client_of(app) as client:
        response = await client.get(path)
    return response.status_code, response.json()


async def working() -> None:
    pass


async def failing() -> NoReturn:
    raise ConnectionRefusedError


async def hanging() -> None:
    await asyncio.sleep(60)


async def test_live(app: FastAPI) -> None:
    assert await get(app, "/health/live") == (200, {"status": "ok"})


async def test_ready(app: FastAPI) -> None:
    status, body = await get(app, "/health/ready")

    assert status == 200
    assert body["status"] == "ok"


async def test_ready_without_a_dependency(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down() -> bool:
        return False

    monkeypatch.setitem(app.state.readiness_checks, "cache", down)

    status, body = await get(app, "/health/ready")

    assert (status, body["status"]) == (200, "ok")
    assert dict(body["checks"])["cache"] == "down"  # type: ignore[call-overload]


@pytest.mark.parametrize("check", [failing, hanging])
async def test_not_ready(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, check: router.Check
) -> None:
    monkeypatch.setattr(router, "CHECK_SECONDS", 0.05)
    for name in list(app.state.readiness_checks):
        monkeypatch.delitem(app.state.readiness_checks, name)
    monkeypatch.setitem(app.state.readiness_checks, "disk", working)
    monkeypatch.setitem(app.state.readiness_checks, "broker", check)

    status, body = await get(app, "/health/ready")

    assert status == 503
    assert body["status"] == "unavailable"
    assert body["checks"] == {"disk": "ok", "broker": "down"}
