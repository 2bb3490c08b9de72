from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.constants import SECURITY_EVENT_DAYS, UNVERIFIED_ACCOUNT_DAYS
from app.auth.events import Event
from app.auth.models import SecurityEvent, Session, User
from app.config import Settings
from app.jobs.account_cleanup import delete_expired_accounts
from app.kit.jobs import JobContext
from tests.auth.factories import create_session, create_user

DAY = timedelta(days=1)
OLD = datetime.now(UTC) - UNVERIFIED_ACCOUNT_DAYS * DAY - DAY


@pytest.mark.parametrize(
    ("column", "days"), [("expires_at", -1), ("refreshed_at", -31), ("refreshed_at", -29)]
)
async def test_sessions(
    session: AsyncSession, settings: Settings, user: User, column: str, days: int
) -> None:
    row = await create_session(session, user)
    setattr(row, column, datetime.now(UTC) + days * DAY)
    await session.flush()

    await delete_expired_accounts(JobContext(session, settings, "1"))

    kept = await session.scalar(select(Session.id).where(Session.id == row.id))
    assert (kept is None) == (days != -29)


async def test_security_events(session: AsyncSession, settings: Settings, user: User) -> None:
    for days in (SECURITY_EVENT_DAYS + 1, SECURITY_EVENT_DAYS - 1):
        created_at = datetime.now(UTC) - days * DAY
        session.add(event(user, Event.SIGNED_OUT, created_at=created_at))
    await session.flush()

    await delete_expired_accounts(JobContext(session, settings, "1"))

    assert len((await session.scalars(select(SecurityEvent))).all()) == 1


async def test_unused_accounts(session: AsyncSession, settings: Settings) -> None:
    for name in ("unused", "new", "verified", "superuser", "signed_in", "with_session", "needed"):
        user = await create_user(session, email=f"{name}@example.com")
        changes: dict[str, object] = {
            "created_at": datetime.now(UTC) if name == "new" else OLD,
            "email_verified_at": OLD if name == "verified" else None,
            "is_superuser": name == "superuser",
        }
        await session.execute(update(User).where(User.id == user.id).values(changes))
        if name == "signed_in":
            session.add(event(user, Event.SIGNED_IN, created_at=datetime.now(UTC) - 400 * DAY))
        if name == "with_session":
            await create_session(session, user)
        if name == "needed":
            await session.execute(text("CREATE TABLE uses (user_id uuid REFERENCES users)"))
            await session.execute(
                text("INSERT INTO uses SELECT id FROM users WHERE email ~ 'need'")
            )
    await session.flush()

    await delete_expired_accounts(JobContext(session, settings, "1"))

    emails = await session.scalars(select(User.email))
    assert "unused@example.com" not in set(emails)
    assert len((await session.scalars(select(User.id))).all()) == 6


def event(user: User, kind: Event, **columns: object) -> SecurityEvent:
    client = {"address": "127.0.0.1", "network": "127.0.0.1", "user_agent": "test"}
    return SecurityEvent(user_id=user.id, kind=kind, **client, **columns)
