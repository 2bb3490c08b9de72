"""Deletion of expired sessions, old security events, and accounts that were never used."""

from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from app.auth import models
from app.auth.constants import SECURITY_EVENT_DAYS, UNVERIFIED_ACCOUNT_DAYS
from app.auth.events import Event
from app.kit.jobs import JobContext, job

log = structlog.stdlib.get_logger(__name__)

# The next run deletes the rest.
BATCH = 1_000


@job(cron="0 * * * *")
async def delete_expired_accounts(context: JobContext) -> None:
    """Delete expired sessions, old security events and unused accounts."""
    session, settings = context.session, context.settings
    now = datetime.now(UTC)
    idle = now - timedelta(days=settings.auth.session_idle_days)
    expired = (models.Session.expires_at < now) | (models.Session.refreshed_at < idle)
    await session.execute(delete(models.Session).where(expired))
    unverified = select(models.User.id).where(models.User.email_verified_at.is_(None))
    # Without a sign-in, an unverified account counts as unused.
    shows_use = (models.SecurityEvent.kind == Event.SIGNED_IN) & (
        models.SecurityEvent.user_id.in_(unverified)
    )
    old = models.SecurityEvent.created_at < now - timedelta(days=SECURITY_EVENT_DAYS)
    await session.execute(delete(models.SecurityEvent).where(old, ~shows_use))

    sessions = select(models.Session.id).where(models.Session.user_id == models.User.id)
    signed_in = select(models.SecurityEvent.id).where(
        models.SecurityEvent.user_id == models.User.id,
        models.SecurityEvent.kind == Event.SIGNED_IN,
    )
    unused = (
        models.User.email_verified_at.is_(None)
        & (models.User.created_at < now - timedelta(days=UNVERIFIED_ACCOUNT_DAYS))
        & ~models.User.is_superuser
        & ~sessions.exists()
        & ~signed_in.exists()
    )
    # Locked first: the second statement sees whether the user has signed in meanwhile.
    users = select(models.User.id).where(unused).limit(BATCH).with_for_update(skip_locked=True)
    ids = list(await session.scalars(users))
    for user_id in ids:
        try:
            async with session.begin_nested():
                await session.execute(delete(models.User).where(models.User.id == user_id, unused))
        except IntegrityError:  # a record of another user needs one that would be deleted, too
            log.warning("unused account not deleted", user_id=str(user_id))
