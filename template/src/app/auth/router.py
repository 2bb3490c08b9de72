"""Accounts and sessions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Response, status

from app.auth import constants, models, schemas
from app.auth.dependencies import CurrentSessionId, CurrentUser, Sessions, Users
from app.auth.events import SecurityLogDep
from app.auth.exceptions import (
    EmailNotVerified,
    IncorrectPassword,
    InvalidCredentials,
    InvalidMailToken,
    InvalidRefreshToken,
    LastSuperuser,
    SessionNotFound,
)
from app.auth.passwords import require_strong
from app.auth.sign_in import find_account, sign_in
from app.auth.tokens import create_access_token, fingerprint
from app.config import Settings
from app.database import SessionDep
from app.jobs import mails
from app.kit.pagination import Page, PageQuery
from app.kit.problems import raises
from app.kit.rate_limit import LimiterDep
from app.kit.state import SettingsDep

router = APIRouter(prefix="/auth", tags=["auth"])

CHECK_MAIL = schemas.Message(detail="If the address can be used, we have sent it an email.")


def token_pair(
    response: Response, session: models.Session, sessions: Sessions, settings: Settings
) -> schemas.TokenPair:
    """Create the response to a sign-in, which must not be cached (RFC 6749, section 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    return schemas.TokenPair(
        access_token=create_access_token(session, settings.auth),
        expires_in=settings.auth.access_token_minutes * 60,
        refresh_token=sessions.refresh_token(session),
    )


@router.post("/register", status_code=status.HTTP_202_ACCEPTED, summary="Create an account")
async def register(
    data: schemas.UserCreate,
    users: Users,
    session: SessionDep,
    settings: SettingsDep,
    limiter: LimiterDep,
) -> schemas.Message:
    """Create an account and send an email to verify the address.

    The response is the same whether the address has an account or not.
    """
    await limiter.hit(constants.REGISTER)
    password = data.password.get_secret_value()
    # A password that is rejected must not use up the emails to this address.
    require_strong(password, data.email, settings.app.name)
    allowed = await limiter.allows(constants.SEND_REGISTRATION, account=data.email)
    user = await users.register(data.email, password)
    if allowed:
        job = mails.send_verification if user else mails.send_already_registered
        await job.enqueue(session, data.email)
    return CHECK_MAIL


@router.post("/token", summary="Sign in")
@raises(InvalidCredentials, EmailNotVerified)
async def create_token(
    form: Annotated[schemas.TokenRequest, Form()],
    users: Users,
    limiter: LimiterDep,
    settings: SettingsDep,
    response: Response,
) -> schemas.TokenPair:
    """Sign in with an email address and a password."""
    account = await find_account(users, form.username)
    # An attacker cannot lock out the owner: addresses with a sign-in have counters of their own.
    await limiter.hit(constants.SIGN_IN, account=account.limited_as)
    session = await sign_in(users, account.user, form.password.get_secret_value())
    return token_pair(response, session, users.sessions, settings)


@router.get("/me", summary="Get your account")
async def get_me(user: CurrentUser) -> schemas.User:
    """Return the authenticated user."""
    return schemas.User.model_validate(user)


@router.post("/refresh", summary="Refresh the tokens")
@raises(InvalidRefreshToken)
async def refresh(
    data: schemas.RefreshToken,
    sessions: Sessions,
    limiter: LimiterDep,
    settings: SettingsDep,
    response: Response,
) -> schemas.TokenPair:
    """Exchange a refresh token for a new pair of tokens.

    Presenting a used refresh token revokes the session, except for some seconds after its use.
    """
    await limiter.hit(constants.REFRESH)
    session = await sessions.refresh(data.refresh_token.get_secret_value())
    return token_pair(response, session, sessions, settings)


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT, summary="Sign out")
async def logout(data: schemas.RefreshToken, sessions: Sessions) -> None:
    """Sign out: revoke the session of a refresh token."""
    await sessions.sign_out(data.refresh_token.get_secret_value())


@router.post(
    "/logout-everywhere", status_code=status.HTTP_204_NO_CONTENT, summary="Sign out everywhere"
)
async def logout_everywhere(user: CurrentUser, users: Users) -> None:
    """Sign out on all devices: revoke all sessions."""
    await users.sign_out_everywhere(user)


@router.get("/sessions", summary="List your sessions")
async def list_sessions(
    user: CurrentUser, session_id: CurrentSessionId, sessions: Sessions
) -> list[schemas.Session]:
    """Return the sessions of the authenticated user, latest first."""
    return await sessions.get_all(user, current=session_id)


@router.delete(
    "/sessions/{session_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Revoke a session"
)
@raises(SessionNotFound)
async def revoke_session(session_id: UUID, user: CurrentUser, sessions: Sessions) -> None:
    """Sign out on one device: revoke a session and all of its tokens."""
    await sessions.revoke(user, session_id)


@router.get("/events", summary="List security events")
async def list_events(
    page: PageQuery, user: CurrentUser, log: SecurityLogDep
) -> Page[schemas.SecurityEvent]:
    """Return a page of the security events of the authenticated user, newest first."""
    return await log.get_page(user.id, page)


@router.patch("/me", status_code=status.HTTP_202_ACCEPTED, summary="Change your email address")
@raises(IncorrectPassword)
async def update_me(
    data: schemas.EmailChange,
    user: CurrentUser,
    users: Users,
    session: SessionDep,
    settings: SettingsDep,
    limiter: LimiterDep,
) -> schemas.Message:
    """Change the email address. The change takes effect when the new address is verified."""
    await limiter.hit(constants.ENTER_PASSWORD, account=str(user.id))
    await users.confirm_password(user, data.current_password.get_secret_value())
    allowed = await limiter.allows(constants.SEND_EMAIL_CHANGE, account=data.email)
    if allowed:
        await mails.send_email_change.enqueue(
            session, user.id, data.email, fingerprint(user, settings.auth)
        )
    return CHECK_MAIL


@router.delete("/me", status_code=status.HTTP_204_NO_CONTENT, summary="Delete your account")
@raises(IncorrectPassword, LastSuperuser)
async def delete_me(
    data: schemas.AccountDeletion, user: CurrentUser, users: Users, limiter: LimiterDep
) -> None:
    """Delete the account and all of its data."""
    await limiter.hit(constants.ENTER_PASSWORD, account=str(user.id))
    await users.confirm_password(user, data.current_password.get_secret_value())
    await users.delete(user)


@router.put("/me/password", status_code=status.HTTP_204_NO_CONTENT, summary="Change your password")
@raises(IncorrectPassword)
async def change_password(
    data: schemas.PasswordChange,
    user: CurrentUser,
    users: Users,
    session: SessionDep,
    limiter: LimiterDep,
) -> None:
    """Change the password and sign out on all devices."""
    await limiter.hit(constants.ENTER_PASSWORD, account=str(user.id))
    await users.change_password(
        user, data.current_password.get_secret_value(), data.new_password.get_secret_value()
    )
    await mails.send_password_changed.enqueue(session, user.email)


@router.post(
    "/verify-email/request",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Request a verification email",
)
async def request_verification(
    data: schemas.EmailRequest,
    session: SessionDep,
    limiter: LimiterDep,
) -> schemas.Message:
    """Send another email to verify the address.

    The response is the same whether the address has an account or not.
    """
    await limiter.hit(constants.REQUEST_MAIL)
    if await limiter.allows(constants.SEND_VERIFICATION, account=data.email):
        await mails.send_verification.options(key=data.email).enqueue(session, data.email)
    return CHECK_MAIL


@router.post(
    "/verify-email/confirm",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Verify an email address",
)
@raises(InvalidMailToken)
async def confirm_email(
    data: schemas.EmailVerification,
    users: Users,
    session: SessionDep,
    limiter: LimiterDep,
) -> None:
    """Verify an email address with the token from the email."""
    await limiter.hit(constants.CONFIRM)
    user, previous = await users.confirm_email(data.token.get_secret_value())
    if previous != user.email:
        await mails.send_email_changed.enqueue(session, previous, user.email)


@router.post(
    "/forgot-password", status_code=status.HTTP_202_ACCEPTED, summary="Request a password reset"
)
async def forgot_password(
    data: schemas.EmailRequest,
    session: SessionDep,
    limiter: LimiterDep,
) -> schemas.Message:
    """Send an email to reset the password.

    The response is the same whether the address has an account or not.
    """
    await limiter.hit(constants.REQUEST_MAIL)
    if await limiter.allows(constants.SEND_RESET, account=data.email):
        await mails.send_reset.options(key=data.email).enqueue(session, data.email)
    return CHECK_MAIL


@router.post("/reset-password", status_code=status.HTTP_204_NO_CONTENT, summary="Reset a password")
@raises(InvalidMailToken)
async def reset_password(
    data: schemas.PasswordReset,
    users: Users,
    session: SessionDep,
    limiter: LimiterDep,
) -> None:
    """Set a new password with the token from the email, and sign out on all devices."""
    await limiter.hit(constants.CONFIRM)
    user = await users.reset_password(
        data.token.get_secret_value(), data.new_password.get_secret_value()
    )
    await mails.send_password_changed.enqueue(session, user.email)
