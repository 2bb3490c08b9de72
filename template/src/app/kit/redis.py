"""Redis: the client, and a cache."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from importlib import import_module
from typing import Annotated

import structlog
from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection
from pydantic import BaseModel, ValidationError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.config import RedisSettings
from app.kit.telemetry import is_exported

log = structlog.stdlib.get_logger(__name__)

TIMEOUT_SECONDS = 2.0
PING_SECONDS = 1.0  # less than the time limit of a readiness check
MAX_CONNECTIONS = 50
# UnicodeError: a value or a key is not text.
UNAVAILABLE = (RedisError, OSError, UnicodeError)


def create_client(settings: RedisSettings) -> Redis:
    """Create a client. It connects when it is first used.

    Args:
        settings: Must have a `url`.

    Raises:
        ValueError: The URL is not set.
    """
    if settings.url is None:
        raise ValueError("REDIS_URL is not set.")
    if is_exported():
        with suppress(ModuleNotFoundError):
            import_module("opentelemetry.instrumentation.redis").RedisInstrumentor().instrument()
    # The default pool raises an error when all connections are in use. This one waits.
    pool = BlockingConnectionPool.from_url(
        settings.url.get_secret_value(),
        max_connections=MAX_CONNECTIONS,
        timeout=TIMEOUT_SECONDS,
        decode_responses=True,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # The default waits for up to several seconds between three attempts.
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)


@asynccontextmanager
async def redis_lifespan(app: FastAPI, client: Redis) -> AsyncIterator[None]:
    """Provide `client` to the requests of `app`, and close it on shutdown."""
    app.state.redis = client
    connected = False

    async def check() -> bool:
        """Return whether Redis answers.

        It must only answer once, which finds a wrong URL. If it fails later, most requests do not need it,
        and a load balancer would remove all instances at the same time.
        """
        nonlocal connected
        try:
            async with asyncio.timeout(PING_SECONDS):
                await client.ping()
        except (RedisError, OSError) as error:
            if not connected:
                raise
            log.warning("redis unavailable", error=type(error).__name__)
            return False
        connected = True
        return True

    app.state.readiness_checks["redis"] = check
    try:
        yield
    finally:
        await client.aclose()


async def get_redis(request: HTTPConnection) -> Redis:
    """Return the client of the application."""
    client: Redis = request.app.state.redis
    return client


RedisDep = Annotated[Redis, Depends(get_redis)]


class Cache:
    """A cache of Pydantic models in Redis. If Redis is unavailable, every lookup is a miss.

    Delete a key after the commit of the transaction that changes its data. A read that started
    before the commit may still store the old value; the time to live bounds how long it is served.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def get_or_set[M: BaseModel](
        self, key: str, model: type[M], create: Callable[[], Awaitable[M]], *, ttl: timedelta
    ) -> M:
        """Return a cached value, or create and store it.

        Args:
            key: Name of the value, such as `items:{item_id}`.
            model: Type of the value.
            create: Creates the value when it is not cached.
            ttl: Time to live, at least a millisecond.
        """
        try:
            if (stored := await self.redis.get(key)) is not None:
                return model.model_validate_json(stored)
        except UNAVAILABLE as error:
            log.warning("cache unavailable", error=type(error).__name__)
            return await create()
        except ValidationError:
            log.info("cached value has another schema", key=key)
        value = await create()
        try:
            await self.redis.set(key, value.model_dump_json(), px=ttl)
        except UNAVAILABLE as error:
            log.warning("cache unavailable", error=type(error).__name__)
        return value

    async def delete(self, *keys: str) -> None:
        """Delete values."""
        try:
            await self.redis.delete(*keys)
        except UNAVAILABLE as error:
            log.warning("cache unavailable", error=type(error).__name__)


async def get_cache(redis: RedisDep) -> Cache:
    """Return the cache of the application."""
    return Cache(redis)


CacheDep = Annotated[Cache, Depends(get_cache)]
