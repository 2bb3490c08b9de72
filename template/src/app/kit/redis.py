"""Redis: a client, and a cache. Without a URL, both live in the memory of the process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Annotated, Any

from cashews import Cache
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel
from redis.asyncio import Redis

from app.config import RedisSettings

TIMEOUT_SECONDS = 2.0

cache = Cache()
"""A cache that is not reachable counts as empty: it makes no request fail."""


def create_client(settings: RedisSettings) -> Redis:
    """Make a client; it connects when it is first used.

    Args:
        settings: Where the server is. Without a URL, commands work on this process's own memory.
    """
    if settings.url is None:
        from fakeredis import FakeAsyncRedis  # noqa: PLC0415  not installed in production

        return FakeAsyncRedis(decode_responses=True)
    return Redis.from_url(
        settings.url.get_secret_value(),
        decode_responses=True,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )


@asynccontextmanager
async def connected(app: FastAPI, settings: RedisSettings) -> AsyncIterator[None]:
    """Give `app` the client and the cache, for as long as the context lasts."""
    url = settings.url.get_secret_value() if settings.url else "mem://"
    # JSON, since unpickling runs whatever somebody managed to write into the server.
    cache.setup(url, pickle_type="json")
    client = create_client(settings)
    app.state.redis = client
    app.state.readiness_checks["redis"] = client.ping
    try:
        yield
    finally:
        await cache.close()
        await client.aclose()


def get_redis(request: Request) -> Redis:
    """Give a request the client."""
    client: Redis = request.app.state.redis
    return client


RedisDep = Annotated[Redis, Depends(get_redis)]


def cached[**P, M: BaseModel](
    model: type[M], *, ttl: str, key: str
) -> Callable[[Callable[P, Awaitable[M]]], Callable[P, Awaitable[M]]]:
    """Keep what a function returns.

    Who changes the thing deletes the key after the commit. A read that began before that commit may
    still store the old state, so `ttl` bounds how long it can be seen.

    Args:
        model: What the function returns.
        ttl: How long it is kept, such as `30s` or `5m`.
        key: Names it, with the function's arguments in braces: `items:{item_id}`.
    """

    def decorate(function: Callable[P, Awaitable[M]]) -> Callable[P, Awaitable[M]]:
        @cache(ttl=ttl, key=key)
        @wraps(function)
        async def dump(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
            return (await function(*args, **kwargs)).model_dump(mode="json")

        @wraps(function)
        async def load(*args: P.args, **kwargs: P.kwargs) -> M:
            return model.model_validate(await dump(*args, **kwargs))

        return load

    return decorate
