import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import User
from app.auth.tokens import fingerprint
from app.config import Settings
from app.jobs import mails
from app.kit.jobs import queue_of
from tests.auth.factories import AUTH
from tests.auth.fixtures import Outbox
from tests.jobs.fixtures import RunJobs


async def test_known_and_unknown_addresses_are_enqueued(
    anonymous: AsyncClient, session: AsyncSession, user: User
) -> None:
    for email in (user.email, "nobody@example.com"):
        for path in ("forgot-password", "verify-email/request"):
            await anonymous.post(f"{AUTH}/{path}", json={"email": email})

    # A difference would be visible in the response time.
    assert len(await queue_of(session).browse_queue()) == 4


@pytest.mark.parametrize("change", ["deactivated", "deleted"])
async def test_account_that_changed(
    session: AsyncSession,
    settings: Settings,
    user: User,
    outbox: Outbox,
    run_jobs: RunJobs,
    change: str,
) -> None:
    state = fingerprint(user, settings.auth)
    await mails.send_reset.enqueue(session, user.email)
    await mails.send_verification.enqueue(session, user.email)
    await mails.send_email_change.enqueue(session, user.id, "new@example.com", state)
    if change == "deleted":
        await session.delete(user)
    else:
        user.is_active = False
    await session.commit()

    assert len(await run_jobs()) == 3
    assert outbox == []


async def test_change_of_address_before_a_change_of_password(
    session: AsyncSession, settings: Settings, user: User, outbox: Outbox, run_jobs: RunJobs
) -> None:
    state = fingerprint(user, settings.auth)
    await mails.send_email_change.enqueue(session, user.id, "thief@example.com", state)
    user.password_hash = "changed"
    await session.commit()

    await run_jobs()

    assert outbox == []


async def test_waiting_links_are_sent_once(
    anonymous: AsyncClient, session: AsyncSession, user: User
) -> None:
    for _ in range(3):
        await anonymous.post(f"{AUTH}/forgot-password", json={"email": user.email})

    assert len(await queue_of(session).browse_queue()) == 1
