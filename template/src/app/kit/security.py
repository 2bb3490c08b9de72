"""What makes a browser, a proxy or a neighbour harmless."""

from fastapi import status
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.problems import problem_response

YEAR_SECONDS = 31_536_000
# Of an API nothing is to be shown, framed or guessed; a page that needs more sets its own policy.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeadersMiddleware:
    """Add to each response the headers that keep browsers careful.

    Args:
        app: The application within.
        https_only: Tell browsers to come by https alone from now on (RFC 6797).
    """

    def __init__(self, app: ASGIApp, *, https_only: bool) -> None:
        self.app = app
        headers = dict(HEADERS)
        if https_only:
            headers["Strict-Transport-Security"] = f"max-age={YEAR_SECONDS}"
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = {name for name, _ in headers}
                headers += [pair for pair in self.headers if pair[0] not in present]
                message["headers"] = headers
            await send(message)

        await self.app(scope, receive, add_headers)


class TrustedHostMiddleware:
    """Refuse requests for hosts that this is not, before a link or a cache is made of the name.

    Probes ask by address, and are let through.

    Args:
        app: The application within.
        hosts: Names that this is known by; `*.example.com` stands for all below, `*` for any.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.any = "*" in hosts
        self.names = {host for host in hosts if not host.startswith("*")}
        self.suffixes = tuple(host.removeprefix("*") for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if (
            self.any
            or scope["type"] not in {"http", "websocket"}
            or scope["path"].startswith("/health/")
            or self.knows(Headers(scope=scope).get("host", ""))
        ):
            await self.app(scope, receive, send)
        else:
            response = problem_response(
                status.HTTP_400_BAD_REQUEST, detail="This is not the host that was asked for."
            )
            await response(scope, receive, send)

    def knows(self, host: str) -> bool:
        """Tell whether a `Host` header names this."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name.lower() in self.names or name.lower().endswith(self.suffixes or ("\0",))
