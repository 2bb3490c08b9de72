"""Redis, for `doctor`."""

from app.cli.console import PlainError, load_settings


def ping() -> str:
    """Say which Redis is used.

    Raises:
        PlainError: It does not answer.
    """
    import asyncio  # noqa: PLC0415

    from redis.exceptions import RedisError  # noqa: PLC0415

    from app.kit.redis import create_client  # noqa: PLC0415

    settings = load_settings().redis
    if settings.url is None:
        return "Redis: REDIS_URL is not set, the process's own memory serves"

    async def ask() -> None:
        async with create_client(settings) as client:
            await client.ping()

    try:
        asyncio.run(ask())
    except (RedisError, OSError) as error:
        raise PlainError(f"{error}. Start it, or take REDIS_URL out of .env") from error
    return "Redis answers"
