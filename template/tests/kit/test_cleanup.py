import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from app.config import Settings
from app.database import SessionFactory
from app.kit import cleanup
from app.kit.cleanup import ADVISORY_LOCK, cleanup_lifespan, delete_expired


async def test_runs_while_the_application_runs(
    session_factory: SessionFactory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "INTERVAL_SECONDS", 0.001)
    runs = asyncio.Semaphore(0)

    async def step(_session: AsyncSession, _settings: Settings) -> None:
        runs.release()

    async with asyncio.timeout(10), cleanup_lifespan(session_factory, settings, step):
        for _ in range(2):
            await runs.acquire()


async def test_failure(session_factory: SessionFactory, settings: Settings) -> None:
    done = []

    async def failing(_session: AsyncSession, _settings: Settings) -> None:
        raise TimeoutError

    async def working(_session: AsyncSession, _settings: Settings) -> None:
        done.append("working")

    with capture_logs() as logs:
        await delete_expired(session_factory, settings, failing, working)

    assert done == ["working"]
    assert [entry["error"] for entry in logs] == ["TimeoutError"]


async def test_another_process_is_running_it(
    session_factory: SessionFactory, settings: Settings
) -> None:
    async def step(_session: AsyncSession, _settings: Settings) -> None:
        pytest.fail("The step ran twice.")

    async with session_factory() as other:
        await other.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        await delete_expired(session_factory, settings, step)
