"""The last requests, kept in memory."""

import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.middleware import QUIET_PATHS

SHOWN = 20


@dataclass(frozen=True)
class Request:
    """A request that was handled.

    Args:
        time: When it arrived.
        method: HTTP method.
        path: Path, without the query string, which may contain secrets.
        status: Status code; 0 if there was no response.
        milliseconds: Time until the end of the response.
        request_id: `X-Request-ID` of the response.
    """

    time: datetime
    method: str
    path: str
    status: int
    milliseconds: float
    request_id: str


class RecentRequests(deque[Request]):
    """The last requests, latest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=SHOWN)

    async def record(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Call an application and record the request, unless it would displace those that matter."""
        if scope["path"].startswith(QUIET_PATHS):
            await app(scope, receive, send)
            return
        now, start = datetime.now(UTC), time.perf_counter()
        end, status, request_id = 0.0, 0, ""

        async def send_and_read(message: Message) -> None:
            nonlocal end, status, request_id
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = dict(message["headers"]).get(b"x-request-id", b"").decode()
            await send(message)
            end = time.perf_counter()

        try:
            await app(scope, receive, send_and_read)
        finally:
            # Background tasks run after the end of the response.
            duration = ((end or time.perf_counter()) - start) * 1000
            self.appendleft(
                Request(now, scope["method"], scope["path"], status, duration, request_id)
            )
