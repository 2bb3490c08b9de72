import asyncio
import signal
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from app.kit.graceful_shutdown import graceful_shutdown


@pytest.fixture
def received() -> Iterator[list[int]]:
    """Return the signals that the server's own handler received."""
    signals: list[int] = []
    original = signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    yield signals
    signal.signal(signal.SIGTERM, original)


@pytest.fixture
def bare_app() -> FastAPI:
    app = FastAPI()
    app.state.readiness_checks = {}
    return app


async def test_unready_first_and_stopped_later(bare_app: FastAPI, received: list[int]) -> None:
    async with asyncio.timeout(10), graceful_shutdown(bare_app, 0.05):
        check = bare_app.state.readiness_checks["server"]
        await check()

        signal.raise_signal(signal.SIGTERM)

        with pytest.raises(RuntimeError, match="shutting down"):
            await check()
        assert received == []
        while not received:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert received == [signal.SIGTERM]


async def test_second_signal(bare_app: FastAPI, received: list[int]) -> None:
    async with graceful_shutdown(bare_app, 30):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

        assert received == [signal.SIGTERM]


async def test_no_delay(bare_app: FastAPI, received: list[int]) -> None:
    async with graceful_shutdown(bare_app, 0):
        signal.raise_signal(signal.SIGTERM)

    assert received == [signal.SIGTERM]
    assert bare_app.state.readiness_checks == {}
