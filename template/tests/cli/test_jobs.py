from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app.cli.jobs import short, with_session
from app.cli.main import app
from app.kit.jobs import JobContext, job

runner = CliRunner()
FAIL = text(
    "WITH failed AS (UPDATE pgqueuer SET status = 'failed' RETURNING *) "
    "INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority, traceback) "
    "SELECT id, 'failed', entrypoint, priority, :traceback FROM failed"
)
TRACEBACK = """{
    "job_id": 1, "timestamp": "2026-01-01T00:00:00Z", "exception_type": "ZeroDivisionError",
    "exception_message": "division by zero", "traceback": "Traceback ...", "additional_context": null
}"""


@job()
async def send_report(context: JobContext, month: str) -> None: ...


@pytest.fixture(autouse=True)
def failed_job(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[str]:
    """Create a failed job, and return its ID."""
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", database_url)

    async def create(session: AsyncSession) -> str:
        await send_report.options(key="may").enqueue(session, "May")
        await session.execute(FAIL, {"traceback": TRACEBACK})
        return str(await session.scalar(text("SELECT id FROM pgqueuer")))

    async def clear(session: AsyncSession) -> None:
        await session.execute(text("TRUNCATE pgqueuer, pgqueuer_log"))

    yield with_session(create)
    with_session(clear)


def run(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, ["jobs", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_retry(failed_job: str) -> None:
    failed = run("list", "--failed")
    retried = run("retry", failed_job)
    left = run("list", "--failed")

    *values, age = failed.splitlines()[1].split()
    assert values == [failed_job, "send_report", "failed", "1"]
    assert age.endswith("s")
    assert "Retried: 1" in retried
    assert "No jobs" in left
    assert "waiting" in run("list")


def test_show(failed_job: str) -> None:
    shown = run("show", failed_job)

    assert '{"month":"May"}' in shown
    assert "UTC enqueued\n" in shown
    assert "UTC failed: ZeroDivisionError: division by zero\n" in shown
    assert "Traceback ..." in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (119, "1m"), (7200, "2h"), (200_000, "2d")]
)
def test_durations(seconds: int, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text


def test_key_is_used_by_another_job(failed_job: str) -> None:
    with_session(lambda session: send_report.options(key="may").enqueue(session, "May"))

    assert f"{failed_job}: a job with the same key" in run("retry", "--all")


def test_mistakes() -> None:
    assert "no job 123456" in run("show", "123456", code=1)
    assert "Not failed: 123456" in run("retry", "123456", code=1)
    assert "--all" in run("retry", code=1)


def test_show_without_history() -> None:
    async def delay(session: AsyncSession) -> str:
        await session.execute(text("TRUNCATE pgqueuer, pgqueuer_log"))
        await send_report.enqueue(session, "June")
        await session.execute(text("TRUNCATE pgqueuer_log"))
        return str(await session.scalar(text("SELECT id FROM pgqueuer")))

    job_id = with_session(delay)

    assert run("show", job_id).splitlines() == [f"send_report {job_id}", '{"month":"June"}']
