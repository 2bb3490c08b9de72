from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.config import RedisSettings, Settings
from app.main import create_app
from tests.auth.factories import AUTH, refresh, sign_in
from tests.conftest import client_of
from tests.redis_server import redis_server


def app_with(settings: Settings, url: str) -> FastAPI:
    redis = RedisSettings(url=SecretStr(url))
    return create_app(settings.model_copy(update={"redis": redis}))


async def test_workers_share_their_counters(
    settings: Settings,
) -> None:
    with redis_server() as url:
        one, two = app_with(settings, url), app_with(settings, url)
        async with (
            one.router.lifespan_context(one),
            two.router.lifespan_context(two),
            client_of(one) as at_one,
            client_of(two) as at_two,
        ):
            codes = [
                (await sign_in(client, "ada@example.com", "wrong")).status_code
                for client in [*[at_one, at_two] * 5, at_one]
            ]

    assert codes == [401] * 10 + [429]


async def test_unavailable_server(settings: Settings, anonymous: AsyncClient) -> None:
    app = app_with(settings, "redis://127.0.0.1:1/0")
    async with app.router.lifespan_context(app), client_of(app) as client:
        attempt = await refresh(client, "x")
        other = await client.get(f"{AUTH}/me")

    assert attempt.status_code == 503
    assert other.status_code == 401
