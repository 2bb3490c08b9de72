"""Rate limit counters in Redis, which all workers share."""

from fastapi import FastAPI
from limits.aio.storage import MemoryStorage, RedisStorage, Storage

from app.config import RedisSettings


def create_storage(app: FastAPI, settings: RedisSettings) -> Storage:
    """Return the storage of the counters."""
    if settings.url is None:
        return MemoryStorage()  # the in-memory server of `dev` cannot run Lua scripts
    pool = app.state.redis.connection_pool
    return RedisStorage("async+redis://", implementation="redispy", connection_pool=pool)
