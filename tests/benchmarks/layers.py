"""CPU time of the parts of a request, measured in the process of the application."""

from tests.benchmarks.load import database, production
from tests.project import Project

MEASURE = """
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
import uvloop
from fastapi import FastAPI

from app.auth.dependencies import USER_OF_SESSION
from app.auth.models import Session, User
from app.auth.tokens import create_access_token, read_access_token
from app.health.router import router
from app.items.models import Item
from app.items.service import ITEMS
from app.kit.middleware import RequestMiddleware
from app.kit.pagination import PageParams
from app.main import create_app
from app.reader import fetch_page

REQUESTS = 25
ROUNDS = 120


async def measure(name: str, function: Callable[[], Awaitable[object]]) -> None:
    # The best of many short rounds: other work on the machine makes some slower.
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(REQUESTS):
            await function()
        times.append((time.process_time() - start) / REQUESTS * 1e6)
    print(f"| {name} | {min(times):.0f} |", flush=True)


async def main() -> None:
    app = create_app()
    async with app.router.lifespan_context(app):
        async with app.state.session_factory() as session:
            user = User(email="ada@example.com", password_hash="-")
            session.add(user)
            await session.flush()
            now = datetime.now(UTC)
            sign_in = Session(
                user_id=user.id, secret=b"-", refreshed_at=now, expires_at=now + timedelta(days=1),
                address="-", user_agent="-",
            )
            session.add(sign_in)
            session.add_all(Item(title=f"Item {n}", description="", owner_id=user.id) for n in range(20))
            await session.commit()
        token = create_access_token(sign_in, app.state.settings.auth)
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())]

        async def request(app, path: str) -> None:
            async def receive():
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message):
                assert message.get("status", 200) == 200, message

            scope = {
                "type": "http", "http_version": "1.1", "method": "GET", "path": path, "root_path": "",
                "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "state": {},
            }
            await app(scope, receive, send)

        plain = FastAPI(telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False})
        plain.include_router(router)
        wrapped = RequestMiddleware(plain, settings=app.state.settings.app)
        reader = app.state.reader
        log = structlog.stdlib.get_logger("app.requests")
        page = PageParams()

        async def write_line() -> None:
            log.info("request", method="GET", path="/", status=200, duration_ms=1.2, client="127.0.0.1")

        async def verify() -> None:
            read_access_token(token, app.state.settings.auth)

        print("| part | microseconds |\\n| --- | --- |")
        await measure("/health/live", lambda: request(app, "/health/live"))
        await measure("the same route in FastAPI alone", lambda: request(plain, "/health/live"))
        await measure("and RequestMiddleware", lambda: request(wrapped, "/health/live"))
        await measure("/api/v1/auth/me", lambda: request(app, "/api/v1/auth/me"))
        await measure("/api/v1/items", lambda: request(app, "/api/v1/items"))
        await measure("the line of the log", write_line)
        await measure("a token that was verified before", verify)
        await measure("reading the user", lambda: reader.first(USER_OF_SESSION, session_id=sign_in.id))
        await measure("reading 20 rows", lambda: fetch_page(reader, ITEMS, page, owner_id=user.id))


uvloop.run(main())
"""


def layers(project: Project) -> None:
    """Print the table.

    Args:
        project: The full variant.
    """
    project.run("uv", "sync", "--quiet")
    with database(project) as url:
        # These requests do not use Redis.
        variables = production(url, "redis://127.0.0.1:1/0")
        output = project.run(
            "uv", "run", "--quiet", "python", "-c", MEASURE, check=True, **variables
        )
    print("\n".join(line for line in output.splitlines() if line.startswith("|")))
    project.remove_database()
