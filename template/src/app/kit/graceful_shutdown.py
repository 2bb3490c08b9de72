"""Graceful shutdown: report "not ready" first, and keep serving until load balancers have noticed."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType, SimpleNamespace

import structlog
from fastapi import FastAPI

log = structlog.stdlib.get_logger(__name__)

# Not an Event: a handler of a signal must not wait for a lock.
draining = SimpleNamespace(started=False)
"""Whether the server has received SIGTERM and stops soon."""


@asynccontextmanager
async def graceful_shutdown(app: FastAPI, seconds: float) -> AsyncIterator[None]:
    """On SIGTERM, make `app` unready at once and stop the server `seconds` later.

    A load balancer that polls readiness (Caddy, Kubernetes) needs that time to send requests
    elsewhere. Requests that arrive meanwhile are answered, and end their connections. With 0 seconds,
    and on a second SIGTERM, the server stops at once.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    server_handler = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        if not callable(server_handler):  # no server: apply the signal's default action
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif draining.started:
            server_handler(number, frame)
        else:
            draining.started = True
            log.info("shutting down", in_seconds=seconds)
            loop.call_soon_threadsafe(loop.call_later, seconds, server_handler, number, None)

    async def check() -> None:
        if draining.started:
            raise RuntimeError("The server is shutting down.")

    app.state.readiness_checks["server"] = check
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, server_handler)
        draining.started = False
