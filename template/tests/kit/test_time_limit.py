import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.config import Settings
from app.kit.routing import body_limit
from app.kit.time_limit import TimeLimits
from tests.conftest import client_of, create_test_app


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """Return an application with a short time limit."""
    app = settings.app.model_copy(update={"request_timeout": 0.05})
    return create_test_app(settings.model_copy(update={"app": app}))


async def test_response(app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    cancelled = []

    @app.get("/slow")
    async def slow() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with client_of(app) as client:
        response = await client.get("/slow")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["detail"] == "The request took too long."
    assert cancelled == [True]
    assert "request timed out" in capsys.readouterr().out


async def test_own_timeout(app: FastAPI) -> None:
    @app.get("/slow")
    async def slow() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)

    async with client_of(app, raise_app_exceptions=False) as client:
        assert (await client.get("/slow")).status_code == 500


async def test_slow_body(app: FastAPI) -> None:
    @app.post("/numbers")
    async def add(body: list[int]) -> int:
        return len(body)

    async def body() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.sleep(10)

    async with client_of(app) as client:
        response = await client.post(
            "/numbers", content=body(), headers={"content-type": "application/json"}
        )

    assert response.status_code == 503


@pytest.mark.parametrize(("size", "pause", "status"), [(100_000, 0.02, 200), (1000, 10, 503)])
async def test_large_body(app: FastAPI, size: int, pause: float, status: int) -> None:
    @app.post("/photo")
    @body_limit(1_000_000)
    async def upload(request: Request) -> int:
        return len(await request.body())

    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * size
            await asyncio.sleep(pause)

    async with client_of(app) as client:
        assert (await client.post("/photo", content=body())).status_code == status


async def test_long_stream(app: FastAPI) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            await asyncio.sleep(0.03)
            yield b"x"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(chunks())

    async with client_of(app) as client:
        assert (await client.get("/stream")).text == "xxxxx"


async def test_cancelled_by_others() -> None:
    async def limited() -> None:
        with TimeLimits(0.01).start() as limit:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                assert limit.expired
                await asyncio.sleep(10)

    task = asyncio.create_task(limited())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_many_limits() -> None:
    limits = TimeLimits(0.1)
    ended = []

    async def limited(name: str, start: float, more: float = 0) -> None:
        await asyncio.sleep(start)
        with suppress(TimeoutError), limits.start() as limit:
            limit.extend(more)
            await asyncio.sleep(10)
        ended.append(name)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(limited("extended", 0, more=0.2))
        tasks.create_task(limited("first", 0))
        tasks.create_task(limited("second", 0.05))
        tasks.create_task(limited("after all others", 0.5))

    assert ended == ["first", "second", "extended", "after all others"]
    assert not limits.running


async def expires(limited: Coroutine[None, None, None]) -> bool:
    """Return whether the code was ended by its limit within five seconds."""
    done, _ = await asyncio.wait([asyncio.create_task(limited)], timeout=5)
    return any(isinstance(task.exception(), TimeoutError) for task in done)


async def test_limit_after_an_extended_one() -> None:
    limits = TimeLimits(0.1)
    with limits.start() as limit:
        limit.extend(60)
        await asyncio.sleep(0.3)

    async def limited() -> None:
        with limits.start():
            await asyncio.sleep(60)

    assert await expires(limited())


def test_another_loop() -> None:
    limits = TimeLimits(0.1)

    async def limited() -> None:
        with limits.start():
            await asyncio.sleep(60)

    async def leave() -> None:
        leaving.extend(asyncio.create_task(limited()) for _ in range(20))
        await asyncio.sleep(0.01)

    leaving: list[asyncio.Task[None]] = []
    closed = asyncio.new_event_loop()
    closed.run_until_complete(leave())
    closed.close()

    assert asyncio.run(expires(limited()))
    for task in leaving:
        task.get_coro().close()  # type: ignore[union-attr]


async def test_end_without_error() -> None:
    with TimeLimits(0.01).start() as limit, suppress(asyncio.CancelledError):
        await asyncio.sleep(10)
    limit.extend(0)
    await asyncio.sleep(0.01)  # the task is not cancelled
