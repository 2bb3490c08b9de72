"""`jobs`: the queue of background jobs."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import db
from app.cli.console import CLIError, console, table

if TYPE_CHECKING:
    from pgqueuer.models import Job, Log
    from sqlalchemy.ext.asyncio import AsyncSession

SHOWN = 100
STATUS = {"queued": "waiting", "picked": "running"}
EVENTS = {"queued": "enqueued", "picked": "started", "successful": "done"}
UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}

app = typer.Typer(help="List and retry background jobs.", no_args_is_help=True)


def with_session[Result](function: "Callable[[AsyncSession], Awaitable[Result]]") -> Result:
    """Call a function in a transaction of the configured database."""
    import asyncio

    with db.database_url() as url:
        return asyncio.run(db.with_session(url, function))


def short(duration: timedelta) -> str:
    """Return a duration in its largest unit, such as `2h`."""
    for unit, size in UNITS.items():
        if duration >= size:
            return f"{duration // size}{unit}"
    return f"{duration.total_seconds():.0f}s"


@app.command("list")
def list_jobs(
    failed: Annotated[bool, typer.Option("--failed", help="Only failed jobs.")] = False,
) -> None:
    """List the jobs that are waiting, running or failed.

    Example: jobs list --failed
    """
    from app.kit.jobs import queue_of

    found = with_session(
        lambda session: queue_of(session).browse_queue(
            SHOWN, statuses=["failed"] if failed else None
        )
    )
    rows = table("ID", "Job", "Status", "Attempts", "Age", "Next attempt")
    now = datetime.now(UTC)
    for row in found:
        waiting = row.status == "queued"
        delay = row.execute_after - now
        due = f"in {short(delay)}" if delay > timedelta(0) else "now"
        rows.add_row(
            str(row.id),
            row.entrypoint,
            STATUS.get(row.status, row.status),
            str(row.attempts if waiting else row.attempts + 1),
            short(now - row.created),
            due if waiting else "",
        )
    nothing = "No jobs have failed." if failed else "No jobs are waiting, running or failed."
    console.print(rows if found else nothing)
    if len(found) == SHOWN:
        console.print(f"Only the first {SHOWN} are shown.")


@app.command()
def show(job: Annotated[int, typer.Argument(help="ID, from `jobs list`.")]) -> None:
    """Show the arguments, the history and the last error of a job.

    Example: jobs show 17
    """
    from pgqueuer.models import JobId

    from app.kit.jobs import queue_of

    async def read(session: "AsyncSession") -> "tuple[Job | None, list[Log]]":
        queue = queue_of(session)
        return await queue.queue_job_by_id(JobId(job)), await queue.job_log_history(JobId(job))

    row, history = with_session(read)
    if not row and not history:
        raise CLIError(f"There is no job {job}. List the jobs: jobs list")
    lines = [f"{(row or history[0]).entrypoint} {job}"]
    if row and row.payload:
        lines.append(row.payload.decode())
    for entry in history:
        error = entry.traceback
        event = EVENTS.get(entry.status, entry.status)
        if error:
            event = f"failed: {error.exception_type}: {error.exception_message}"
        lines.append(f"{entry.created:%Y-%m-%d %H:%M:%S} UTC {event}")
    lines += [entry.traceback.traceback for entry in history if entry.traceback][-1:]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


@app.command()
def retry(
    jobs: Annotated[list[int] | None, typer.Argument(help="IDs, from `jobs list`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Retry all failed jobs.")] = False,
) -> None:
    """Run failed jobs again, with all of their attempts.

    Example: jobs retry 17 18
    """
    if bool(jobs) == every:
        raise CLIError("Pass the IDs of failed jobs, or --all. List them: jobs list --failed")

    async def requeue(session: "AsyncSession") -> tuple[list[int], list[int]]:
        from sqlalchemy.exc import IntegrityError

        from app.kit.jobs import queue_of

        queue = queue_of(session)
        failed = [row.id for row in await queue.list_failed_jobs(1_000_000)]
        retried = []
        for number in [number for number in failed if every or number in (jobs or ())]:
            try:
                async with session.begin_nested():
                    await queue.requeue_jobs([number])
                retried.append(int(number))
            except IntegrityError:
                console.print(f"{number}: a job with the same key is waiting already.")
        return retried, [number for number in jobs or () if number not in failed]

    retried, unknown = with_session(requeue)
    console.print(f"Retried: {len(retried)}.")
    if unknown:
        raise CLIError(
            f"Not failed: {', '.join(map(str, unknown))}. List failed jobs: jobs list --failed"
        )
