"""ASGI middleware."""

import logging
import re
import time

import structlog
from starlette import status as http_status
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.problems import InternalError, problem_response, respond

log = structlog.stdlib.get_logger("app.requests")

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,127}")


def is_sane_request_id(value: str) -> bool:
    """Tell whether an id that a client sent may be taken over into logs and headers.

    Example:
        >>> is_sane_request_id("order-4711"), is_sane_request_id("two words")
        (True, False)
    """
    return SANE_REQUEST_ID.fullmatch(value) is not None


class RequestLogMiddleware:
    """Log a line for each request, and answer an unexpected error with a 500.

    Args:
        app: The application within.
        debug: Put the error's text into the response.
    """

    def __init__(self, app: ASGIApp, *, debug: bool) -> None:
        self.app = app
        self.debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0
        start = time.perf_counter()
        end: float | None = None

        async def note_status(message: Message) -> None:
            nonlocal status, end
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            if not message.get("more_body"):
                end = time.perf_counter()

        structlog.contextvars.clear_contextvars()
        try:
            await self.app(scope, receive, note_status)
        except Exception as error:
            log.exception("unexpected error")
            if status:
                raise  # too late for another response: let the server close the connection
            problem = InternalError(f"{type(error).__name__}: {error}" if self.debug else None)
            await respond(problem)(scope, receive, note_status)
        finally:
            # Probes come every few seconds, and are news only when they fail.
            probe = scope["path"].startswith("/health/") and status == http_status.HTTP_200_OK
            log.log(
                logging.DEBUG if probe else logging.INFO,
                "request",
                method=scope["method"],
                # Without the query string, which may carry what belongs in no log.
                path=scope["path"],
                status=status,
                # Until the response is out; what runs in the background afterwards is not waited for.
                duration_ms=round(((end or time.perf_counter()) - start) * 1000, 2),
                client=scope["client"][0] if scope.get("client") else None,
            )


class BodyLimitMiddleware:
    """Answer a request whose body is too large with a 413, and read no more of it.

    FastAPI's own limit answers in plain text when the length is announced.

    Args:
        app: The application within.
        max_bytes: Largest body that is accepted.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise HTTPException(http_status.HTTP_413_CONTENT_TOO_LARGE)
            return message

        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.max_bytes:
            response = problem_response(http_status.HTTP_413_CONTENT_TOO_LARGE)
            await response(scope, receive, send)
        else:
            await self.app(scope, receive_limited, send)
