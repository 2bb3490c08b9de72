import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from fakeredis import FakeAsyncRedis
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr, ValidationError
from redis.asyncio import Redis

from app.config import RedisSettings
from app.kit.redis import Cache, create_client, redis_lifespan
from tests.redis_server import redis_server


class Counted(BaseModel):
    number: int


class Counter:
    """Counts how often a value is created."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.created = 0

    async def create(self) -> Counted:
        self.created += 1
        return Counted(number=self.created)

    async def get(self, ttl: timedelta = timedelta(minutes=1)) -> int:
        return (await self.cache.get_or_set("counted", Counted, self.create, ttl=ttl)).number


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["memory", "server"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    if request.param == "memory":
        client: Redis = FakeAsyncRedis(decode_responses=True)
    else:
        url = request.getfixturevalue("redis_url")
        client = create_client(RedisSettings(url=SecretStr(url)))
    await client.flushall()
    yield client
    await client.aclose()


def test_missing_url() -> None:
    [issue] = RedisSettings().production_issues()

    assert issue.variable == "REDIS_URL"
    with pytest.raises(ValueError, match="REDIS_URL"):
        create_client(RedisSettings())


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost"])
def test_invalid_url(url: str) -> None:
    with pytest.raises(ValidationError, match="such as redis://"):
        RedisSettings(url=SecretStr(url))


async def test_client(redis: Redis) -> None:
    app = FastAPI()
    app.state.readiness_checks = {}

    async with redis_lifespan(app, redis):
        await app.state.readiness_checks["redis"]()
        await app.state.redis.set("greeting", "hello")
        assert await app.state.redis.get("greeting") == "hello"


async def test_more_requests_than_connections(redis_url: str) -> None:
    client = create_client(RedisSettings(url=SecretStr(redis_url)))

    assert all(await asyncio.gather(*(client.ping() for _ in range(300))))
    await client.aclose()


async def test_ready_after_the_first_success(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = create_client(RedisSettings(url=SecretStr(redis_url)))
    app = FastAPI()
    app.state.readiness_checks = {}

    async def fail() -> None:
        raise ConnectionError

    async with redis_lifespan(app, client):
        check = app.state.readiness_checks["redis"]
        with monkeypatch.context() as patched:
            patched.setattr(client, "ping", fail)
            with pytest.raises(ConnectionError):
                await check()
        first = await check()
        monkeypatch.setattr(client, "ping", fail)

        assert (first, await check()) == (True, False)


class TestCache:
    async def test_hit(self, redis: Redis) -> None:
        counter = Counter(Cache(redis))

        assert [await counter.get(), await counter.get()] == [1, 1]

    async def test_delete(self, redis: Redis) -> None:
        counter = Counter(Cache(redis))
        await counter.get()

        await counter.cache.delete("counted")

        assert await counter.get() == 2

    async def test_time_to_live(self, redis: Redis) -> None:
        await Counter(Cache(redis)).get(ttl=timedelta(minutes=1))

        assert 0 < await redis.ttl("counted") <= 60

    async def test_less_than_a_second(self, redis: Redis) -> None:
        counter = Counter(Cache(redis))

        assert [await counter.get(ttl=timedelta(milliseconds=900)) for _ in range(2)] == [1, 1]

    async def test_value_with_another_schema(self, redis: Redis) -> None:
        await redis.set("counted", '{"count": 7}')

        assert await Counter(Cache(redis)).get() == 1

    async def test_value_and_key_that_are_not_text(self, redis_url: str) -> None:
        async with Redis.from_url(redis_url) as raw:
            await raw.set("counted", b"\xff")
        client = create_client(RedisSettings(url=SecretStr(redis_url)))
        cache = Cache(client)

        assert await Counter(cache).get() == 1
        odd = await cache.get_or_set("\ud800", Counted, Counter(cache).create, ttl=timedelta(1))
        assert odd.number == 1
        await client.aclose()

    async def test_unavailable_server(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # it does not listen
            url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
            client = create_client(RedisSettings(url=SecretStr(url)))
            counter = Counter(Cache(client))

            assert [await counter.get(), await counter.get()] == [1, 2]
            await counter.cache.delete("counted")
            await client.aclose()
