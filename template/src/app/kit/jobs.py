"""Background jobs: functions that a worker calls later, with retries. The queue is in PostgreSQL (pgqueuer)."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Concatenate, Self

from pgqueuer import InMemoryDriver, Queries
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import to_json
from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.kit.job_telemetry import add_trace
from app.kit.logs import request_id_var


@dataclass(frozen=True)
class JobContext:
    """Session and settings of a running job.

    Args:
        session: Database session. It is committed when the job returns, in the transaction that removes
            the job from the queue: what a job changes in the database, it changes exactly once.
        settings: Settings.
        id: Unique identifier of the job, the same in each attempt: an idempotency key for other services.
    """

    session: AsyncSession
    settings: Settings
    id: str


@dataclass(frozen=True)
class Job[**P]:
    """A function that runs in a worker. `@job()` creates it.

    Args:
        function: Coroutine function. Its first argument is a `JobContext`.
        arguments: Model of the other arguments.
        retries: Number of attempts after the first.
        timeout: Maximum duration of an attempt.
        concurrency: Maximum number that runs at the same time, in all workers. 0 is no limit.
        cron: Schedule, in UTC.
        delay: Time to wait before the first attempt.
        priority: Jobs with a higher priority run first.
        key: A job is not enqueued while one with the same key is waiting or running.
    """

    function: Callable[Concatenate[JobContext, P], Awaitable[None]]
    arguments: type[BaseModel]
    retries: int
    timeout: timedelta
    concurrency: int = 0
    cron: str | None = None
    delay: timedelta | None = None
    priority: int = 0
    key: str | None = None

    @property
    def name(self) -> str:
        """Name in the queue: that of the function."""
        return self.function.__name__

    async def __call__(self, context: JobContext, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the function now, without the queue."""
        await self.function(context, *args, **kwargs)

    def options(
        self, *, delay: timedelta | None = None, priority: int = 0, key: str | None = None
    ) -> Self:
        """Return this job with other options for `enqueue`.

        Example:
            `await send_report.options(delay=timedelta(hours=1)).enqueue(session, user.id)`
        """
        return replace(self, delay=delay, priority=priority, key=key)

    async def enqueue(self, session: AsyncSession, *args: P.args, **kwargs: P.kwargs) -> None:
        """Add the job to the queue when the transaction of `session` is committed.

        Args:
            session: Database session. After a rollback, there is no job.
            args: Arguments of the function after the context.
            kwargs: Arguments of the function, by name.

        Raises:
            ValidationError: An argument has the wrong type.
            ValueError: JSON cannot represent an argument, such as a `SecretStr` or infinity.
        """
        request_id = request_id_var.get()
        headers = {"request_id": request_id} if request_id else {}
        add_trace(headers)
        await queue_of(session).enqueue(
            self.name,
            self.dump(*args, **kwargs),
            priority=self.priority,
            execute_after=self.delay,
            dedupe_key=f"{self.name}:{self.key}" if self.key else None,
            headers=headers or None,
            on_conflict="skip",
        )

    def dump(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Validate arguments and return them as JSON."""
        given = inspect.signature(self.function).bind(None, *args, **kwargs).arguments
        values = dict(list(given.items())[1:])
        arguments = self.arguments(**values)
        payload = arguments.model_dump_json().encode()
        try:
            is_same = self.arguments.model_validate_json(payload) == arguments
        except ValidationError:
            is_same = False
        if not is_same:
            raise ValueError(f"JSON cannot represent an argument of the job {self.name}.")
        return payload

    async def run(self, context: JobContext, payload: bytes | None) -> None:
        """Call the function with the arguments from the queue.

        Args:
            context: Session and settings.
            payload: Arguments, as returned by `dump`.
        """
        arguments = self.arguments.model_validate_json(payload or b"{}")
        function: Any = self.function  # its parameters are those of the model
        async with asyncio.timeout(self.timeout.total_seconds()):
            await function(context, **dict(arguments))


def job[**P](
    *,
    retries: int = 10,
    timeout: timedelta = timedelta(minutes=5),
    concurrency: int = 0,
    cron: str | None = None,
) -> Callable[[Callable[Concatenate[JobContext, P], Awaitable[None]]], Job[P]]:
    """Create a job from a coroutine function in `app/jobs/`. Its name must be unique.

    A failed attempt is repeated after 5 seconds, then 10, 20 and so on, up to an hour. After the last
    one, the job is kept as failed until `jobs retry`.

    Args:
        retries: Number of attempts after the first.
        timeout: Maximum duration of an attempt.
        concurrency: Maximum number that runs at the same time, in all workers. Limit jobs that wait for
            another server: while it is slow, they would occupy the workers. 0 is no limit.
        cron: Schedule in UTC, such as `0 * * * *`, for a job without arguments. It runs once, however
            many workers there are.

    Raises:
        TypeError: An argument has no type.
    """

    def decorate(function: Callable[Concatenate[JobContext, P], Awaitable[None]]) -> Job[P]:
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        if untyped := [each.name for each in parameters if each.annotation is each.empty]:
            raise TypeError(
                f"The argument {untyped[0]} of the job {function.__name__} has no type."
            )
        fields: dict[str, Any] = {
            parameter.name: (
                parameter.annotation,
                ... if parameter.default is parameter.empty else parameter.default,
            )
            for parameter in parameters
        }
        # An error message must not repeat an argument, which may be personal.
        config = ConfigDict(hide_input_in_errors=True)
        arguments = create_model(f"{function.__name__}_arguments", __config__=config, **fields)
        return Job(function, arguments, retries, timeout, concurrency, cron)

    return decorate


def rows_of(result: CursorResult[Any]) -> list[dict[str, object]]:
    """Return the rows of a result as pgqueuer expects them. It decodes JSON itself."""
    return [
        {name: to_json(value) if isinstance(value, dict) else value for name, value in row.items()}
        for row in result.mappings()
    ]


class SessionDriver(InMemoryDriver):
    """A driver that executes the statements of pgqueuer in the transaction of a session. It does not listen.

    Args:
        session: Database session.
    """

    def __init__(self, session: AsyncSession) -> None:
        super().__init__()
        self.session = session

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Execute a statement and return the rows."""
        connection = await self.session.connection()
        return rows_of(await connection.exec_driver_sql(query, args))

    async def execute(self, query: str, *args: object) -> str:
        """Execute a statement."""
        connection = await self.session.connection()
        await connection.exec_driver_sql(query, args)
        return ""


def queue_of(session: AsyncSession) -> Queries:
    """Return the queue, for use in the transaction of a session."""
    return Queries(SessionDriver(session))
