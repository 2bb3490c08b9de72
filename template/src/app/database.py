"""PostgreSQL: the engine, the session of a request, and the base of the models."""

import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from socket import gaierror
from typing import Annotated, Any
from uuid import UUID

from asyncpg.exceptions import ForeignKeyViolationError
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import DateTime, MetaData, Select, event, func, text, tuple_
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from app.config import SLUG, DatabaseSettings
from app.kit.pagination import Cursor, PageParams
from app.kit.problems import Problem, ServiceUnavailable, raises

NAMING_CONVENTION = {
    "ix": "%(column_0_label)s_idx",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
RECYCLE_SECONDS = 1800
IDLE_SECONDS = 5.0

# SQLSTATE: connection lost, too many connections, shutting down, crashed, starting up.
AWAY = ("08", "53300", "57P01", "57P02", "57P03")
UNAVAILABLE = (ConnectionError, TimeoutError, gaierror, PoolTimeoutError)

SessionFactory = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    """Base of all models."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012  SQLAlchemy's own
    # What the server sets comes back with the statement: a later read would be a query of its own.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


class Record(Base):
    """A table whose rows the server gives an id and timestamps."""

    __abstract__ = True

    # uuidv7() would sort by age, but PostgreSQL has it from 18 on and many hosts do not.
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    # Not now(), which is the start of the transaction, and so the same for all its rows.
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.clock_timestamp(), onupdate=func.clock_timestamp()
    )


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Make the engine; it connects when it is first used.

    Args:
        settings: Must have a `url`.

    Raises:
        ValueError: It has none.
    """
    if settings.url is None:
        raise ValueError("DATABASE_URL is not set.")
    engine = create_async_engine(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_recycle=RECYCLE_SECONDS,
        connect_args={
            "timeout": settings.connect_timeout,
            "server_settings": {
                "application_name": SLUG,
                "statement_timeout": f"{settings.statement_timeout}s",
            },
        },
    )
    _ping_idle_connections(engine)
    return engine


def _ping_idle_connections(engine: AsyncEngine) -> None:
    """Look whether a connection still lives before it is given out, if it was idle for a while.

    `pool_pre_ping` looks each time, which takes three round trips of each request. Of a connection
    that was in use just now, asyncpg knows when the server has closed it.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def ping(connection: Any, record: ConnectionPoolEntry, _fairy: object) -> None:
        idle_since = record.info.get("idle_since", math.inf)
        try:
            if connection.driver_connection.is_closed():
                raise ConnectionError
            if time.monotonic() - idle_since > IDLE_SECONDS:
                engine.dialect.do_ping(connection)
        except Exception as error:
            # The pool makes another connection, and throws away those that are as old as this one.
            raise InvalidatePoolError from error


def create_session_factory(engine: AsyncEngine) -> SessionFactory:
    """Make the factory of sessions.

    Objects stay usable after the commit, since nothing can be loaded by the way in async code.
    """
    return async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def connected(app: FastAPI, settings: DatabaseSettings) -> AsyncIterator[None]:
    """Give `app` the database, for as long as the context lasts."""
    engine = create_engine(settings)
    app.state.session_factory = create_session_factory(engine)

    async def check() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    app.state.readiness_checks["database"] = check
    try:
        yield
    finally:
        await engine.dispose()


def is_unavailable(error: BaseException) -> bool:
    """Tell whether `error` means that the server, not the statement, is at fault."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    if str(getattr(error, "sqlstate", "")).startswith(AWAY):
        return True
    # asyncio raises a plain OSError when several addresses have failed; other OSErrors, such as of
    # files, are somebody else's.
    return isinstance(error, UNAVAILABLE) or type(error) is OSError


def missing_reference(error: BaseException) -> str | None:
    """Tell which column points to a row that is not there, if that is what `error` says."""
    if not isinstance(error, IntegrityError) or error.orig is None:
        return None
    cause = error.orig.__cause__
    if not isinstance(cause, ForeignKeyViolationError):
        return None
    # Key (author_id)=(...) is not present in table "users". The words depend on the server's language.
    key = re.search(r"\((\w+)\)=\(", cause.detail or "")
    # A row that others point to, and that cannot be deleted, is named by its id.
    return key[1] if key and key[1] != "id" else None


@raises(ServiceUnavailable)
async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Give a request its session: one transaction, committed when the endpoint has returned.

    An error rolls it back, unless it is a problem that `commits`. What `after_commit` was given runs after the commit. All of it happens
    before the response is sent, so that who has read the response finds the data.

    Raises:
        ServiceUnavailable: The database does not answer.
        RequestValidationError: What was stored refers to something that is not there.
    """
    factory: SessionFactory = request.app.state.session_factory
    try:
        async with factory() as session:
            try:
                yield session
            except Problem as problem:
                if problem.commits:
                    await session.commit()
                raise
            await session.commit()
            for callback in session.info.pop("after_commit", ()):
                await callback()
    except Exception as error:
        if is_unavailable(error):
            raise ServiceUnavailable("The database is not answering.") from error
        if field := missing_reference(error):
            part = {"loc": ("body", field), "type": "reference", "msg": "There is no such thing."}
            raise RequestValidationError([part]) from error
        raise


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


def after_commit(session: AsyncSession, callback: Callable[[], Awaitable[object]]) -> None:
    """Have `callback` called when the transaction is committed; never, when it is rolled back."""
    session.info.setdefault("after_commit", []).append(callback)


async def fetch_page[R: Record](
    session: AsyncSession, model: type[R], statement: Select[R], page: PageParams
) -> tuple[list[R], str | None]:
    """Fetch a page of what `statement` selects, the newest first.

    Args:
        session: Session to read with.
        model: What is selected.
        statement: Selects and filters, without order or limit.
        page: The part that is asked for.

    Returns:
        The rows, and the cursor of the next page or None.
    """
    if after := page.after:
        statement = statement.where(tuple_(model.created_at, model.id) < tuple_(*after))
    statement = statement.order_by(model.created_at.desc(), model.id.desc())
    # One more than is asked for tells whether there is another page.
    found = list(await session.scalars(statement.limit(page.limit + 1)))
    rows = found[: page.limit]
    more = len(found) > page.limit
    return rows, Cursor(rows[-1].created_at, rows[-1].id).encode() if more else None
