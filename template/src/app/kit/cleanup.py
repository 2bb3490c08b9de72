"""Deletion of expired records, every hour."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings

INTERVAL_SECONDS = 3600
# Any number that no other advisory lock uses.
ADVISORY_LOCK = 7_402_531_118

Step = Callable[[AsyncSession, Settings], Awaitable[None]]
log = structlog.stdlib.get_logger(__name__)


@asynccontextmanager
async def cleanup_lifespan(
    factory: async_sessionmaker[AsyncSession], settings: Settings, *steps: Step
) -> AsyncIterator[None]:
    """Delete expired records in the background: one minute after the start, then every hour.

    Args:
        factory: Creates the sessions.
        settings: Settings.
        steps: Each deletes records of one kind, in a transaction of its own.
    """

    async def repeat() -> None:
        await asyncio.sleep(INTERVAL_SECONDS / 60)
        while True:
            await delete_expired(factory, settings, *steps)
            await asyncio.sleep(INTERVAL_SECONDS)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def delete_expired(
    factory: async_sessionmaker[AsyncSession], settings: Settings, *steps: Step
) -> None:
    """Run the steps, except those that another process is running. A failure is logged.

    Args:
        factory: Creates the sessions.
        settings: Settings.
        steps: Each deletes records of one kind, in a transaction of its own.
    """
    for step in steps:
        try:
            async with factory() as session, session.begin():
                if await session.scalar(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))):
                    await step(session, settings)
        except Exception as error:
            log.error("cleanup failed", step=step.__module__, error=type(error).__name__)
