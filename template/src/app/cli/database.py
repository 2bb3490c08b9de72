"""The database that a command works on: which it is, whether it answers, what it refuses."""

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.console import PlainError, console, load_settings
from app.cli.env_file import ensure_env_file

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.config import Settings

DEVELOPMENT = "app"
# What `dev` writes there is applied already. A migration that comes alone is for `db upgrade`.
VERSIONS = Path("src/app/migrations/versions")


@contextmanager
def database_url() -> Iterator[str]:
    """Give the database that the settings name, or in development one of the project's own.

    Raises:
        PlainError: It does not answer, or cannot be started.
    """
    import asyncio  # noqa: PLC0415

    ensure_env_file()
    settings = load_settings()
    if settings.database.url is not None:
        url = settings.database.url.get_secret_value()
        require_answer(url)
        yield url
        return
    from app.cli import postgres  # noqa: PLC0415  development only

    with ExitStack() as stack:
        with console.status("Starting PostgreSQL ..."):
            server = stack.enter_context(postgres.running())
            url = f"{server}/{DEVELOPMENT}"
            asyncio.run(postgres.ensure_database(url))
        # For the processes that this one starts.
        os.environ["DATABASE_URL"] = url
        yield url.replace("postgresql://", "postgresql+asyncpg://")


@contextmanager
def development_database() -> Iterator[str]:
    """Start the database if need be, and say where it is."""
    with database_url() as url:
        # Without the password, which the URL may have.
        yield f"Data   PostgreSQL at {shown(url)}"


def follow_models() -> None:
    """Write and apply what the models have and the database has not."""
    from app.cli.auto_migrate import follow  # noqa: PLC0415  development only

    follow.follow_settings()


def follow_change(agreed: list[str]) -> None:
    """Write and apply what new or removed models ask for.

    Args:
        agreed: Losses that are wanted.
    """
    from app.cli.auto_migrate import follow  # noqa: PLC0415  development only

    with database_url() as url:
        follow.follow(url, agreed=agreed)


def require_database(settings: "Settings") -> None:
    """See that there is a database to serve from.

    Raises:
        PlainError: There is none, it does not answer, or it is behind the code.
    """
    if settings.database.url is None:
        raise PlainError(
            "DATABASE_URL is not set. In development, `dev` starts a database of its own."
        )
    url = settings.database.url.get_secret_value()
    require_answer(url)
    # When it is only looked at, its own parts are no news.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from app import migrations  # noqa: PLC0415
    from app.config import SLUG  # noqa: PLC0415

    if migrations.pending(url):
        raise PlainError(
            f"The database is behind the code. Bring it up to date:\n{SLUG} db upgrade"
        )


def migrate_deployed(run: Callable[..., None]) -> None:
    """Bring the database of a server up to date, before a new version starts there.

    Args:
        run: Runs a command in the new version.

    Raises:
        PlainError: A migration failed. It has changed nothing, and the old version serves on.
    """
    from app.cli.deploy.server import step  # noqa: PLC0415
    from app.config import SLUG  # noqa: PLC0415

    try:
        with step("Migrate"):
            run(SLUG, "db", "upgrade")
    except PlainError as error:
        raise PlainError(
            f"The migration failed, so the new version does not start. {error}\n"
            "What served before serves on."
        ) from error


def check_database() -> str:
    """See, for `doctor`, that the database answers and is at the newest revision.

    Raises:
        PlainError: It is not.
    """
    with database_url() as url:
        require_database(load_settings())
        return f"PostgreSQL at {shown(url)} answers, and is at the newest revision"


def require_answer(url: str) -> None:
    """See that the database answers.

    Args:
        url: With the async driver.

    Raises:
        PlainError: It does not.
    """
    import asyncio  # noqa: PLC0415

    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    async def connect() -> None:
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 5})
        async with engine.connect():
            pass

    try:
        asyncio.run(connect())
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PlainError(f"Cannot connect to DATABASE_URL ({shown(url)}): {reason}") from error


def shown(url: str) -> str:
    """Give a URL without what is secret."""
    return url.rsplit("@", 1)[-1]


@contextmanager
def refusals() -> Iterator[None]:
    """Say in a line why Alembic or the database refuses.

    Raises:
        PlainError: One of them does.
    """
    from alembic.util import CommandError  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from app import migrations  # noqa: PLC0415

    try:
        yield
    except CommandError as error:
        raise PlainError(str(error)) from error
    except DBAPIError as error:
        raise PlainError(f"The database refuses: {migrations.reason(error)}") from error


async def with_session[T](url: str, function: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Call a function with a session, which is committed afterwards.

    Args:
        url: With the async driver.
        function: What to call.
    """
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_async_engine(url, poolclass=NullPool)
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        return await function(session)
