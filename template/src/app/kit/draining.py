"""A stop that nobody notices: first say so, then go on serving until whoever sends requests has heard."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import structlog
from fastapi import FastAPI

log = structlog.stdlib.get_logger(__name__)


class Stopping(Exception):
    """This process is about to end: send no more requests."""


@asynccontextmanager
async def announced(app: FastAPI, seconds: float) -> AsyncIterator[None]:
    """Have SIGTERM make `app` not ready at once, and stop the server only `seconds` later.

    Load balancers that ask for readiness (Caddy, Kubernetes) need that time to look elsewhere; a
    request that comes meanwhile is answered. Whichever server runs the application, its own handler
    of the signal is kept.

    Args:
        app: What is asked whether it is ready.
        seconds: How long; with 0 the server stops at once. A second SIGTERM ends the wait.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)
    stopping = False

    def begin(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if not callable(stop):  # nobody stops in order: end as the signal does
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif stopping:
            stop(number, frame)
        else:
            stopping = True
            log.info("stopping", in_seconds=seconds)
            loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, None)

    async def check() -> None:
        if stopping:
            raise Stopping

    app.state.readiness_checks["server"] = check
    signal.signal(signal.SIGTERM, begin)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
