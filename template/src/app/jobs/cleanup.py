from datetime import UTC, datetime

from sqlalchemy import delete, text

from app.idempotency.models import StoredResponse
from app.idempotency.service import LIFETIME
from app.kit.jobs import JobContext, job

# Arguments of failed jobs may be personal, and of those that the application no longer has.
OLD_JOBS = text(
    "WITH log AS (DELETE FROM pgqueuer_log WHERE created < now() - interval '30 days'), "
    "statistics AS (DELETE FROM pgqueuer_statistics WHERE created < now() - interval '30 days') "
    "DELETE FROM pgqueuer WHERE greatest(updated, execute_after) < now() - interval '30 days' "
    "AND status <> 'picked'"
)


@job(cron="0 * * * *")
async def delete_expired(context: JobContext) -> None:
    """Delete the responses that are not sent again, old failed jobs, and the history of jobs."""
    expired = StoredResponse.created_at < datetime.now(UTC) - LIFETIME
    await context.session.execute(delete(StoredResponse).where(expired))
    await context.session.execute(OLD_JOBS)
