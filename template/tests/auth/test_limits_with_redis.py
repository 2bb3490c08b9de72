from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.config import RedisSettings, Settings
from app.kit.redis import cache
from app.main import create_app
from tests.auth.factories import AUTH, refresh
from tests.conftest import client_of
from tests.redis_server import redis_server


def app_with(settings: Settings, url: str) -> FastAPI:
    redis = RedisSettings(url=SecretStr(url))
    return create_app(settings.model_copy(update={"redis": redis}))


async def test_workers_count_together_and_nobody_passes_uncounted(
    settings: Settings,
) -> None:
    codes: list[int] = []
    body = {"email": "ada@example.com"}
    with redis_server() as url:
        one, two = app_with(settings, url), app_with(settings, url)
        async with (
            one.router.lifespan_context(one),
            two.router.lifespan_context(two),
            client_of(one) as at_one,
            client_of(two) as at_two,
        ):
            for client in (at_one, at_two, at_one, at_two, at_one, at_two):
                response = await client.post(f"{AUTH}/forgot-password", json=body)
                codes.append(response.status_code)
    cache.setup("mem://", pickle_type="json")

    assert codes == [202] * 5 + [429]


async def test_server_that_is_gone(settings: Settings, anonymous: AsyncClient) -> None:
    app = app_with(settings, "redis://127.0.0.1:1/0")
    async with app.router.lifespan_context(app), client_of(app) as client:
        attempt = await refresh(client, "x")
        other = await client.get(f"{AUTH}/me")
    cache.setup("mem://", pickle_type="json")

    assert attempt.status_code == 503
    assert other.status_code == 401
