"""The middleware that adds the pages to the application."""

import asyncio
import platform
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from fastship_tooling.dev.pages.account_links import ACCOUNT_LINKS
from fastship_tooling.dev.pages.mails import list_mails, read_mail
from fastship_tooling.dev.pages.recent_requests import RecentRequests
from fastship_tooling.ports import check_port_is_free
from fastship_tooling.project import DOCS_URL, HAS_AUTH, HAS_DATABASE, HAS_DOCS, command_line

HERE = Path(__file__).parent
ASSETS = {
    "/favicon.ico": "favicon.svg",
    "/dev/favicon.svg": "favicon.svg",
    "/dev/page.js": "page.js",
    "/dev/style.css": "style.css",
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# An email is shown in a frame, without scripts and without requests. Its links open new tabs.
MAIL_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox",
    "X-Frame-Options": "SAMEORIGIN",
}
CHECK_SECONDS = 1.0
SHOWN_MAILS = 5


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["local"] = _local
    environment.globals |= {"command": command_line, "python": platform.python_version()}
    return environment


def _local(time: datetime) -> str:
    local = time.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M}"


class DevelopmentPages:
    """Serves pages to browsers, and records the other requests.

    It is the outermost middleware: the pages appear neither in the log nor among the last requests.

    Args:
        app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.requests = RecentRequests()
        routes = [Route(path, _asset) for path in ASSETS]
        routes.append(Route("/", self._home))
        if HAS_AUTH:
            routes += [
                Route("/dev/mails", self._mails),
                Route("/dev/mails/{name}", self._mail),
                Route("/dev/mails/{name}/html", self._mail_html),
                *(Route(path, self._account) for path in ACCOUNT_LINKS),
            ]
        self.router = Router(routes, default=self._pass_on)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        handle = self.router if _is_for_a_page(scope) else self._pass_on
        await handle(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.requests.record(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _home(self, request: Request) -> Response:
        state = request.app.state
        jobs = None
        if HAS_DATABASE:
            from fastship_tooling.dev.pages.jobs import read_jobs

            jobs = await read_jobs(state)
        checks: dict[str, Callable[[], Awaitable[object]]] = state.readiness_checks
        passed = await asyncio.gather(*(_passes(check) for check in checks.values()))
        return _page(
            request,
            "home",
            requests=list(self.requests),
            jobs=jobs,
            has_jobs=HAS_DATABASE,
            checks=dict(zip(checks, passed, strict=True)),
            mails=list_mails(_mail_folder(), SHOWN_MAILS) if HAS_AUTH else [],
            has_mails=HAS_AUTH,
            has_docs=HAS_DOCS,
            docs_url=_docs_url(),
        )

    async def _mails(self, request: Request) -> Response:
        return _page(request, "mails", mails=list_mails(_mail_folder()))

    async def _mail(self, request: Request) -> Response:
        mail = read_mail(_mail_folder(), request.path_params["name"])
        if mail is None:
            mails = list_mails(_mail_folder())
            return _page(request, "mails", HTTPStatus.NOT_FOUND, mails=mails)
        return _page(request, "mail", mail=mail)

    async def _mail_html(self, request: Request) -> Response:
        mail = read_mail(_mail_folder(), request.path_params["name"])
        if mail is None:
            return Response("Not found", HTTPStatus.NOT_FOUND, HEADERS)
        html = mail.html.replace("<head>", '<head><base target="_blank">', 1)
        return HTMLResponse(html, headers=MAIL_HEADERS)

    async def _account(self, request: Request) -> Response:
        link = ACCOUNT_LINKS[request.url.path]
        paths = [path for path in request.app.openapi()["paths"] if path.endswith(link.endpoint)]
        token = request.query_params.get("token", "")
        return _page(request, "account", link=link, endpoint=paths[0], token=token)


def _is_for_a_page(scope: Scope) -> bool:
    """Return whether a browser asks for a page, and the application has no route with the same path."""
    if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
        return False
    headers = dict(scope["headers"])
    if not _is_local(headers.get(b"host", b"").decode("latin-1"), scope["app"].state.settings.app):
        return False
    path = scope["path"]
    if path not in ASSETS and b"text/html" not in headers.get(b"accept", b""):
        return False
    return path.startswith("/dev/") or all(
        route.matches(scope)[0] is Match.NONE for route in scope["app"].routes
    )


def _is_local(host: str, settings: Any) -> bool:
    """Return whether a request names this machine. A page of another site could bind its name to it."""
    name = host.rsplit(":", 1)[0].strip("[]").lower()
    if name == "localhost" or name in settings.trusted_hosts:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _mail_folder() -> Path:
    from app.kit.mail import FOLDER

    return Path(FOLDER)


def _docs_url() -> str | None:
    """Return the URL of the documentation if `docs serve` is running."""
    if not DOCS_URL.exists():
        return None
    url = DOCS_URL.read_text()
    address = urlsplit(url)
    try:
        check_port_is_free(str(address.hostname), address.port or 0)
    except OSError:
        return url
    return None


async def _asset(request: Request) -> Response:
    return FileResponse(HERE / "assets" / ASSETS[request.url.path], headers=HEADERS)


async def _passes(check: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception:
        return False
    return True


def _page(
    request: Request, name: str, status: int = HTTPStatus.OK, **values: object
) -> HTMLResponse:
    html = _templates().get_template(f"{name}.html.j2").render(app=request.app, **values)
    return HTMLResponse(html, status, HEADERS)
