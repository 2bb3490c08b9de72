import asyncio
import signal
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from app.kit import draining


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """What a server's own handler of SIGTERM was told."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    yield told
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def served() -> FastAPI:
    app = FastAPI()
    app.state.readiness_checks = {}
    return app


async def test_not_ready_first_and_stopped_later(served: FastAPI, stopped: list[int]) -> None:
    async with draining.announced(served, 0.2):
        check = served.state.readiness_checks["server"]
        await check()

        signal.raise_signal(signal.SIGTERM)

        with pytest.raises(draining.Stopping):
            await check()
        assert stopped == []
        await asyncio.sleep(0.4)
        assert stopped == [signal.SIGTERM]


async def test_second_signal_ends_the_wait(served: FastAPI, stopped: list[int]) -> None:
    async with draining.announced(served, 30):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

        assert stopped == [signal.SIGTERM]


async def test_at_once_unless_asked_for(served: FastAPI, stopped: list[int]) -> None:
    async with draining.announced(served, 0):
        signal.raise_signal(signal.SIGTERM)

    assert stopped == [signal.SIGTERM]
    assert served.state.readiness_checks == {}
