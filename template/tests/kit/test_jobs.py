import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from pgqueuer.models import Job as Row
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.jobs import JobContext, job, queue_of
from app.kit.logs import request_id_var

AT = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = trace.SpanContext(0xABC, 0xDEF, is_remote=True)


class Line(BaseModel):
    price: Decimal


@job()
async def record(context: JobContext, number: int, *, lines: list[Line], at: datetime = AT) -> None:
    assert (lines, at) == ([Line(price=Decimal("0.10"))], AT)
    context.session.info["number"] = number


@job()
async def fail(context: JobContext) -> None:
    raise ZeroDivisionError


async def waiting(session: AsyncSession) -> list[Row]:
    return await queue_of(session).browse_queue()


def test_argument_without_a_type() -> None:
    with pytest.raises(TypeError, match="The argument number of the job untyped has no type"):

        @job()
        async def untyped(context: JobContext, number) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            """Fail."""


class TestEnqueue:
    async def test_rollback(self, session: AsyncSession) -> None:
        async with session.begin_nested() as savepoint:
            await fail.enqueue(session)
            before = await waiting(session)
            await savepoint.rollback()

        assert len(before) == 1
        assert await waiting(session) == []

    async def test_arguments_are_validated(self, session: AsyncSession) -> None:
        with pytest.raises(ValidationError):
            await record.enqueue(session, "x", lines=[])  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await record.enqueue(session)  # type: ignore[call-arg]

    @pytest.mark.parametrize("value", [SecretStr("secret"), math.inf])
    def test_arguments_that_json_cannot_represent(self, value: object) -> None:
        @job()
        async def send(context: JobContext, key: SecretStr | float) -> None: ...

        with pytest.raises(ValueError, match="JSON cannot represent"):
            send.dump(value)  # type: ignore[arg-type]

    async def test_invalid_arguments_are_not_repeated(self, session: AsyncSession) -> None:
        with pytest.raises(ValidationError) as caught:
            await record.enqueue(session, "ada@example.com", lines=[])  # type: ignore[arg-type]

        assert "ada@example.com" not in str(caught.value)

    async def test_key(self, session: AsyncSession) -> None:
        for key in ("a", "a", "b", None, None):
            await fail.options(key=key).enqueue(session)

        assert len(await waiting(session)) == 4

    async def test_delay_and_priority(self, session: AsyncSession) -> None:
        await fail.enqueue(session)
        await fail.options(delay=timedelta(hours=1), priority=1).enqueue(session)

        first, second = await waiting(session)
        assert first.priority == 1
        assert first.execute_after - second.execute_after == timedelta(hours=1)

    async def test_request_and_trace(self, session: AsyncSession) -> None:
        request_id_var.set("req-1")
        with trace.use_span(trace.NonRecordingSpan(TRACE)):
            await fail.enqueue(session)
        request_id_var.set(None)
        await fail.enqueue(session)

        first, second = await waiting(session)
        assert first.headers == {
            "request_id": "req-1",
            "traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-00",
        }
        assert second.headers is None


async def test_arguments(app: FastAPI, session: AsyncSession) -> None:
    payload = record.dump(7, lines=[Line(price=Decimal("0.10"))], at=AT)

    await record.run(JobContext(session, app.state.settings, "1"), payload)

    assert session.info["number"] == 7
