"""PostgreSQL: the engine, the session of a request, and the base class of the models."""

import enum
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Request
from fastapi.requests import HTTPConnection
from sqlalchemy import DateTime, MetaData, Table, event, func, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from app.config import SLUG, DatabaseSettings
from app.kit import references
from app.kit.database_errors import Conflict, database_errors
from app.kit.enums import TEXT_ENUM, add_checks
from app.kit.problems import Problem, ServiceUnavailable, raises
from app.kit.query_spans import add_query_spans
from app.kit.telemetry import is_exported
from app.reader import Reader

# The form of PostgreSQL's own default names.
NAMING_CONVENTION = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
RECYCLE_SECONDS = 1800
IDLE_SECONDS = 5.0
COMMAND_GRACE_SECONDS = 2

SessionFactory = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    """Base class of all models."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's API
        datetime: DateTime(timezone=True),
        enum.Enum: TEXT_ENUM,
    }
    # Fetch server defaults with RETURNING. Loading them later would need another query.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


@event.listens_for(Table, "after_parent_attach")
def add_constraints(table: Table, metadata: MetaData) -> None:
    """Add the constraints of references and enums to the table of a model, but not to Alembic's copies."""
    if metadata is Base.metadata:
        references.add_constraints(table)
        add_checks(table)


class Entity(Base):
    """A table with a UUID primary key and timestamps, all set by the server."""

    __abstract__ = True

    # uuidv7() needs PostgreSQL 18, which many hosting providers do not offer yet.
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    # now() is the start of the transaction, the same for all of its rows.
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.clock_timestamp(), onupdate=func.clock_timestamp()
    )


def load_models() -> None:
    """Import the models of all domains, and check their relationships.

    Foreign keys and relationships name other models. A process that does not use those, such as the
    worker, may not import them otherwise.

    Raises:
        SQLAlchemyError: A relationship is invalid.
    """
    for models in Path(__file__).parent.glob("*/models.py"):
        import_module(f"app.{models.parent.name}.models")
    configure_mappers()


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Create the engine. It connects when it is first used.

    Args:
        settings: Must have a `url`.

    Raises:
        ValueError: The URL is not set.
    """
    if settings.url is None:
        raise ValueError("DATABASE_URL is not set.")
    engine = create_async_engine(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_recycle=RECYCLE_SECONDS,
        # Parameters may be personal, and would appear in logs.
        hide_parameters=True,
        connect_args={
            "timeout": settings.connect_timeout,
            # If the server does not answer, it does not cancel the statement either.
            "command_timeout": settings.statement_timeout + COMMAND_GRACE_SECONDS,
            "server_settings": {
                "application_name": SLUG,
                "statement_timeout": f"{settings.statement_timeout}s",
                "lock_timeout": f"{settings.lock_timeout}s",
                "idle_in_transaction_session_timeout": f"{settings.idle_timeout}s",
            },
        },
    )
    _ping_idle_connections(engine)
    if is_exported():
        add_query_spans(engine.sync_engine)
    return engine


def _ping_idle_connections(engine: AsyncEngine) -> None:
    """Check connections that were idle for a while before they are used.

    `pool_pre_ping` checks each time, which adds three round trips to each request. If a connection
    was used recently, asyncpg already knows whether the server has closed it.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def record_time(_connection: object, record: ConnectionPoolEntry) -> None:
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
            # The pool replaces this connection and all that are as old.
            raise InvalidatePoolError from error


def create_session_factory(engine: AsyncEngine) -> SessionFactory:
    """Create the session factory, and load the models.

    Objects stay usable after the commit, since lazy loading is not possible in async code. A closed
    session cannot be used again: it would take a connection that nobody returns.
    """
    load_models()
    return async_sessionmaker(engine, expire_on_commit=False, close_resets_only=False)


@asynccontextmanager
async def lifespan(app: FastAPI, settings: DatabaseSettings) -> AsyncIterator[None]:
    """Provide sessions to the requests of `app`, and close the connections on shutdown."""
    engine = create_engine(settings)
    app.state.session_factory = create_session_factory(engine)
    app.state.reader = Reader(
        lambda: closing(engine.sync_engine.raw_connection()),
        engine.dialect,
        settings.pool_size + settings.max_overflow,
        settings.pool_timeout,
    )

    async def check() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    app.state.readiness_checks["database"] = check
    try:
        yield
    finally:
        await engine.dispose()


@raises(ServiceUnavailable, Conflict)
async def get_session(request: HTTPConnection) -> AsyncIterator[AsyncSession]:
    """Return the session of the request: one transaction, committed before the response is sent.

    An error rolls it back, except for a `Problem` with `commits`. After the commit, the `after_commit`
    callbacks run.

    Raises:
        ServiceUnavailable: The database is unavailable.
        Conflict: A value exists already, or the record was deleted meanwhile.
        RequestValidationError: A stored value references a missing row.
        TypeError: The endpoint is a WebSocket, whose transaction would stay open.
    """
    if not isinstance(request, Request):
        raise TypeError("A WebSocket has no session. Open one for each message: open_session().")
    async with open_session(request.app) as session:
        try:
            yield session
        except Problem as problem:
            if problem.commits:
                await _commit(session)
            raise
        await _commit(session)


async def _commit(session: AsyncSession) -> None:
    await session.commit()
    for callback in session.info.pop("after_commit", ()):
        await callback()


@asynccontextmanager
async def open_session(app: FastAPI) -> AsyncIterator[AsyncSession]:
    """Open a session for a streamed response, a message of a WebSocket, or work after the response.

    The session of the request is closed before the response is sent. This one is open until the
    context ends, also if the client disconnects. Commit it if it changes rows.

    Example:
        `async with open_session(request.app) as session:`
    """
    with database_errors():
        async with app.state.session_factory() as session:
            yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


def after_commit(session: AsyncSession, callback: Callable[[], Awaitable[object]]) -> None:
    """Call `callback` after the transaction is committed. It is not called after a rollback."""
    session.info.setdefault("after_commit", []).append(callback)
