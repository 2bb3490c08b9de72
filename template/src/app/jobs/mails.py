"""The emails about accounts.

Requests enqueue them whether the account exists or not, so that the response time does not reveal it.
The worker reads the account when it sends the email: the link expires, and the account may have changed.
"""

import hmac
from uuid import UUID

from sqlalchemy import select

from app.auth import mails, models
from app.auth.tokens import fingerprint
from app.kit.jobs import JobContext, job
from app.kit.mail import Mail, send

# For some hours: a mail server that is down must not lose emails.
RETRIES = 15
# While the mail server is slow, other jobs must run, too.
CONCURRENCY = 2


async def find_user(context: JobContext, email: str) -> models.User | None:
    """Return the account with this address, if any."""
    return await context.session.scalar(select(models.User).where(models.User.email == email))


async def deliver(context: JobContext, mail: Mail, to: str) -> None:
    """Send an email. The `Message-ID` is the same in each attempt, so that clients hide a second copy."""
    # End the transaction: it must not wait for the mail server.
    await context.session.commit()
    await send(mail, to, context.settings, message_id=context.id)


@job(retries=RETRIES, concurrency=CONCURRENCY)
async def send_verification(context: JobContext, email: str) -> None:
    """Send the link that verifies the address of an account."""
    user = await find_user(context, email)
    if user and user.is_active and not user.email_verified:
        await deliver(context, mails.verify_email(context.settings, user), email)


@job(retries=RETRIES, concurrency=CONCURRENCY)
async def send_email_change(context: JobContext, user_id: UUID, email: str, state: str) -> None:
    """Send the link that changes the address of an account, unless another account has the new one.

    Args:
        context: Session and settings.
        user_id: The account.
        email: New address.
        state: Fingerprint of the account at the time of the request. If the password has changed since,
            the request may have been that of an attacker.
    """
    user = await context.session.get(models.User, user_id)
    if user is None or not user.is_active or await find_user(context, email):
        return
    if hmac.compare_digest(state, fingerprint(user, context.settings.auth)):
        await deliver(context, mails.change_email(context.settings, user, email), email)


@job(retries=RETRIES, concurrency=CONCURRENCY)
async def send_already_registered(context: JobContext, email: str) -> None:
    """Send the response to a registration with the address of an existing account."""
    await deliver(context, mails.already_registered(context.settings, email), email)


@job(retries=RETRIES, concurrency=CONCURRENCY)
async def send_reset(context: JobContext, email: str) -> None:
    """Send the link that resets a password."""
    user = await find_user(context, email)
    if user and user.is_active:
        await deliver(context, mails.reset_password(context.settings, user), email)


@job(retries=RETRIES, concurrency=CONCURRENCY)
async def send_password_changed(context: JobContext, email: str) -> None:
    """Notify a user of a changed password."""
    await deliver(context, mails.password_changed(context.settings, email), email)


@job(retries=RETRIES, concurrency=CONCURRENCY)
async def send_email_changed(context: JobContext, previous: str, email: str) -> None:
    """Notify a user of a changed address, at the previous one."""
    await deliver(context, mails.email_changed(context.settings, previous, email), previous)
