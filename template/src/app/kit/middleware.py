"""The middleware around all requests."""

import logging
import re
import time
from collections.abc import Iterable
from http import HTTPStatus
from random import getrandbits, random

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.config import AppSettings
from app.kit.logs import request_id_var, sample_var
from app.kit.problems import BodyTooLarge, InternalError, ServiceUnavailable, UntrustedHost
from app.kit.telemetry import hide_query, is_exported
from app.kit.time_limit import TimeLimit, TimeLimits

log = structlog.stdlib.get_logger("app.requests")

Header = tuple[bytes, bytes]

# Request IDs from clients that are safe to use in logs and headers.
REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,127}")
YEAR_SECONDS = 31_536_000
LATE = "The request took too long."
# Health checks arrive every few seconds and matter only when they fail.
QUIET_PATHS = ("/health/", "/docs/assets/")
RESPONSE_STARTS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
# Of uploads to endpoints with a limit of their own.
MIN_BYTES_PER_SECOND = 10_000
# Defaults for an API. A response that contains a page sets its own Content-Security-Policy.
SECURITY_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
NO_STORE = (b"cache-control", b"no-store")


class RequestMiddleware:
    """The middleware for request IDs, security headers, trusted hosts, limits and the access log.

    An unexpected error is answered with a 500 and raised again, so that the server logs its traceback
    and error trackers and tests see it. One class instead of five saves time in each request.

    Args:
        app: The wrapped application.
        settings: Trusted hosts, maximum body size, environment and debug mode.
    """

    def __init__(self, app: ASGIApp, *, settings: AppSettings) -> None:
        self.app = app
        self.settings = settings
        hosts = settings.trusted_hosts or ("*",)
        self.time_limits = TimeLimits(settings.request_timeout)
        self.any_host = "*" in hosts
        self.hosts = {host for host in hosts if not host.startswith("*")}
        self.suffixes = tuple(host.removeprefix("*") for host in hosts if host.startswith("*."))
        self.headers = [*SECURITY_HEADERS]
        if settings.production:
            subdomains = "; includeSubDomains" if settings.hsts_subdomains else ""
            hsts = f"max-age={YEAR_SECONDS}{subdomains}"
            self.headers.append((b"strict-transport-security", hsts.encode()))
        self.headers_without_etag = [*self.headers, NO_STORE]
        self.on_query = hide_query if is_exported() else bytes
        self.quiet_paths = () if log.is_enabled_for(logging.DEBUG) else QUIET_PATHS
        self.names = {b"x-request-id", *(name for name, _ in self.headers_without_etag)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = dict(reversed(scope["headers"]))  # the first of several with the same name
        request_id = headers.get(b"x-request-id", b"")
        if not REQUEST_ID.fullmatch(request_id):
            # It need not be secret. `secrets` asks the operating system each time.
            request_id = b"%032x" % getrandbits(128)
        structlog.contextvars.clear_contextvars()
        request_id_var.set(request_id.decode())
        sample_var.set(random())  # noqa: S311
        self.on_query(scope.get("query_string", b""))
        start = time.perf_counter()
        end, status, received = 0.0, 0, 0

        async def send_with_headers(message: Message) -> None:
            nonlocal end, status
            if message["type"] in RESPONSE_STARTS:
                status = message.get("status", HTTPStatus.SWITCHING_PROTOCOLS)
                message["headers"] = self._headers(message.get("headers", ()), request_id)
                # The time limit is for the start of the response, which may be a long stream.
                limit.stop()
            await send(message)
            if not message.get("more_body"):
                end = time.perf_counter()

        async def receive_limited() -> Message:
            nonlocal received
            if status:  # waits for the client to disconnect
                return await receive()
            # The body is read after routing, so the limit of the endpoint is known.
            own_limit = getattr(scope.get("endpoint"), "__body_limit__", None)
            # The server has checked the header.
            self._check_size(int(headers.get(b"content-length", 0)), own_limit)
            message = await receive()
            received += (size := len(message.get("body", b"")))
            self._check_size(received, own_limit)
            if own_limit and message["type"] == "http.request":
                # A large body takes longer. A client that sends too slowly keeps its time limit.
                limit.extend(size / MIN_BYTES_PER_SECOND)
            return message

        host = headers.get(b"host", b"")
        app = self.app if self._is_trusted(scope["path"], host) else UntrustedHost().to_response()
        limit = self.time_limits.start() if scope["type"] == "http" else TimeLimit()
        try:
            with limit:
                await app(scope, receive_limited, send_with_headers)
        except Exception as error:
            timed_out = limit.expired and isinstance(error, TimeoutError)
            if timed_out:
                log.warning("request timed out")
            if not status:
                problem = ServiceUnavailable(LATE) if timed_out else self._internal_error(error)
                await problem.to_response()(scope, receive, send_with_headers)
            if not timed_out:
                raise
        finally:
            # Up to the end of the response; background tasks run after it.
            self._log(scope, status, seconds=(end or time.perf_counter()) - start)

    def _headers(self, headers: Iterable[Header], request_id: bytes) -> list[Header]:
        """Add the request ID, and the default headers that a response does not have."""
        headers = list(headers)  # it may be an iterator
        # Much faster than MutableHeaders, which searches the list for each name.
        names = {name for name, _ in headers}
        defaults = self.headers if b"etag" in names else self.headers_without_etag
        if not self.names.isdisjoint(names):
            headers = [header for header in headers if header[0] != b"x-request-id"]
            defaults = [header for header in defaults if header[0] not in names]
        return [*headers, (b"x-request-id", request_id), *defaults]

    def _is_trusted(self, path: str, header: bytes) -> bool:
        """Return whether the Host header is known, before links or cache keys are built from it."""
        if self.any_host or path.startswith("/health/"):  # health checks use IP addresses
            return True
        host = header.decode("latin-1")
        name = (host if host.endswith("]") else host.rsplit(":", 1)[0]).lower()
        return name in self.hosts or (bool(self.suffixes) and name.endswith(self.suffixes))

    def _internal_error(self, error: Exception) -> InternalError:
        return InternalError(f"{type(error).__name__}: {error}" if self.settings.debug else None)

    def _check_size(self, size: int, own_limit: int | None) -> None:
        limit = own_limit or self.settings.max_body_bytes
        if size > limit:
            source = "the limit of this endpoint" if own_limit else "APP_MAX_BODY_BYTES"
            problem = BodyTooLarge(f"The request body is larger than {limit} bytes ({source}).")
            # FastAPI turns any other exception while it reads the body into a 400.
            raise HTTPException(problem.status) from problem

    def _log(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"]
        failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if path.startswith(self.quiet_paths) and not failed:
            return
        quiet = path.startswith(QUIET_PATHS)
        level = logging.ERROR if failed else logging.DEBUG if quiet else logging.INFO
        log.log(
            level,
            "request",
            method=scope.get("method", "WEBSOCKET"),
            path=path,  # without the query string, which may contain secrets
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client=scope["client"][0] if scope.get("client") else None,
        )
