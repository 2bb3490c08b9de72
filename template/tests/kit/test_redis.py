import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr, ValidationError
from redis.exceptions import ConnectionError as RedisConnectionError

from app.config import RedisSettings, Settings
from app.kit.redis import cache, cached, connected
from app.kit.settings import SettingsError
from tests.redis_server import redis_server


class Counted(BaseModel):
    number: int


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def bare(app: FastAPI) -> Iterator[FastAPI]:
    """An application without a connection; that of the other tests is put back afterwards."""
    made = FastAPI()
    made.state.readiness_checks = {}
    yield made
    cache.setup("mem://", pickle_type="json")


def test_production_needs_a_url() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL: is not set; set it to a URL"):
        Settings.load(None)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost"])
def test_url_of_something_else(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)

    with pytest.raises(ValidationError, match="such as redis://"):
        RedisSettings()


async def use(app: FastAPI, settings: RedisSettings) -> list[int]:
    calls = 0

    @cached(Counted, ttl="1m", key="counted:{name}")
    async def count(name: str) -> Counted:
        nonlocal calls
        calls += 1
        return Counted(number=calls)

    async with connected(app, settings):
        await app.state.readiness_checks["redis"]()
        await app.state.redis.set("greeting", "hello")
        assert await app.state.redis.get("greeting") == "hello"
        numbers = [(await count("a")).number, (await count("a")).number]
        await cache.delete("counted:a")
        return [*numbers, (await count("a")).number]


async def test_in_memory(bare: FastAPI) -> None:
    assert await use(bare, RedisSettings()) == [1, 1, 2]


async def test_with_a_server(bare: FastAPI, redis_url: str) -> None:
    assert await use(bare, RedisSettings(url=SecretStr(redis_url))) == [1, 1, 2]


async def test_server_that_is_gone_counts_as_an_empty_cache(bare: FastAPI) -> None:
    @cached(Counted, ttl="1m", key="counted:{name}")
    async def count(name: str) -> Counted:
        return Counted(number=1)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"
        async with connected(bare, RedisSettings(url=SecretStr(url))):
            assert (await count("a")).number == 1
            with pytest.raises(RedisConnectionError):
                await bare.state.readiness_checks["redis"]()
