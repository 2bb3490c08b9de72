"""Accounts and sign-ins."""

from typing import Annotated

from fastapi import Depends, Response, status
from fastapi.security import OAuth2PasswordRequestForm

from app.auth import constants, mails
from app.auth.dependencies import CurrentUser, RefreshTokens, Users
from app.auth.emails import normalise_email
from app.auth.exceptions import (
    CurrentPasswordWrong,
    EmailNotVerified,
    MailTokenInvalid,
    RefreshTokenInvalid,
    WrongCredentials,
)
from app.auth.models import User as UserRow
from app.auth.schemas import (
    Deletion,
    EmailAddress,
    EmailChange,
    EmailConfirmation,
    Notice,
    PasswordChange,
    PasswordReset,
    RefreshToken,
    TokenPair,
    User,
    UserCreate,
)
from app.auth.tokens import create_access_token
from app.config import Settings
from app.kit.mail import MailerDep
from app.kit.problems import raises
from app.kit.rate_limit import LimiterDep
from app.kit.routing import Router, async_dependency
from app.kit.state import SettingsDep

router = Router(prefix="/auth", tags=["auth"])

SEE_MAIL = Notice(detail="If that is possible, a mail is on its way to this address.")


def token_pair(
    response: Response, user: UserRow, refresh_token: str, settings: Settings
) -> TokenPair:
    """Make the answer to a sign-in, which nobody may store (RFC 6749, section 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    return TokenPair(
        access_token=create_access_token(user, settings.auth),
        expires_in=settings.auth.access_token_minutes * 60,
        refresh_token=refresh_token,
    )


@router.post("/register", status_code=status.HTTP_202_ACCEPTED)
async def register(
    data: UserCreate, users: Users, mailer: MailerDep, limiter: LimiterDep, settings: SettingsDep
) -> Notice:
    """Open an account.

    The answer is the same whether or not there was one; the mail tells.
    """
    await limiter.count(constants.REGISTER)
    user = await users.register(data.email, data.password.get_secret_value())
    if user:
        mailer.send(mails.verify_email(settings, user), data.email)
    else:
        mailer.send(mails.already_registered(settings.mail.links_to), data.email)
    return SEE_MAIL


@router.post("/token")
@raises(WrongCredentials, EmailNotVerified)
async def create_token(
    form: Annotated[
        OAuth2PasswordRequestForm, Depends(async_dependency(OAuth2PasswordRequestForm))
    ],
    users: Users,
    refresh_tokens: RefreshTokens,
    limiter: LimiterDep,
    settings: SettingsDep,
    response: Response,
) -> TokenPair:
    """Sign in: give the e-mail address as `username`."""
    await limiter.count(constants.SIGN_IN, account=normalise_email(form.username))
    user = await users.authenticate(form.username, form.password)
    return token_pair(response, user, await refresh_tokens.issue(user), settings)


@router.post("/refresh")
@raises(RefreshTokenInvalid)
async def refresh(
    data: RefreshToken,
    refresh_tokens: RefreshTokens,
    limiter: LimiterDep,
    settings: SettingsDep,
    response: Response,
) -> TokenPair:
    """Get the next pair of tokens. A refresh token that comes a second time ends the sign-in."""
    await limiter.count(constants.REFRESH)
    user, token = await refresh_tokens.rotate(data.refresh_token.get_secret_value())
    return token_pair(response, user, token, settings)


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout(data: RefreshToken, refresh_tokens: RefreshTokens) -> None:
    """Sign out: end the sign-in that the refresh token belongs to."""
    await refresh_tokens.revoke(data.refresh_token.get_secret_value())


@router.post("/logout-everywhere", status_code=status.HTTP_204_NO_CONTENT)
async def logout_everywhere(user: CurrentUser, refresh_tokens: RefreshTokens) -> None:
    """Sign out on all devices, at once."""
    await refresh_tokens.revoke_all(user)


@router.get("/me")
async def read_me(user: CurrentUser) -> User:
    """Read the account that is signed in."""
    return User.model_validate(user)


@router.patch("/me", status_code=status.HTTP_202_ACCEPTED)
@raises(CurrentPasswordWrong)
async def update_me(
    data: EmailChange,
    user: CurrentUser,
    users: Users,
    mailer: MailerDep,
    limiter: LimiterDep,
    settings: SettingsDep,
) -> Notice:
    """Change the e-mail address, as soon as the new one is confirmed by the link in the mail."""
    await limiter.count(constants.ASK_FOR_MAIL, account=user.email)
    await users.require_password(user, data.current_password.get_secret_value())
    if await users.find_by_email(data.email) is None:
        mailer.send(mails.verify_email(settings, user, email=data.email), data.email)
    return SEE_MAIL


@router.delete("/me", status_code=status.HTTP_204_NO_CONTENT)
@raises(CurrentPasswordWrong)
async def delete_me(data: Deletion, user: CurrentUser, users: Users, limiter: LimiterDep) -> None:
    """Delete the account and all that belongs to it, for good."""
    await limiter.count(constants.SIGN_IN, account=user.email)
    await users.require_password(user, data.current_password.get_secret_value())
    await users.delete(user)


@router.put("/me/password", status_code=status.HTTP_204_NO_CONTENT)
@raises(CurrentPasswordWrong)
async def change_password(
    data: PasswordChange,
    user: CurrentUser,
    users: Users,
    mailer: MailerDep,
    limiter: LimiterDep,
    settings: SettingsDep,
) -> None:
    """Change the password, and sign out everywhere."""
    await limiter.count(constants.SIGN_IN, account=user.email)
    await users.require_password(user, data.current_password.get_secret_value())
    await users.set_password(user, data.new_password.get_secret_value())
    mailer.send(mails.password_changed(settings.mail.links_to), user.email)


@router.post("/verify-email/request", status_code=status.HTTP_202_ACCEPTED)
async def request_verification(
    data: EmailAddress, users: Users, mailer: MailerDep, limiter: LimiterDep, settings: SettingsDep
) -> Notice:
    """Ask for another mail to confirm the address by."""
    await limiter.count(constants.ASK_FOR_MAIL, account=data.email)
    user = await users.find_by_email(data.email)
    if user and user.is_active and not user.email_verified:
        mailer.send(mails.verify_email(settings, user), user.email)
    return SEE_MAIL


@router.post("/verify-email/confirm", status_code=status.HTTP_204_NO_CONTENT)
@raises(MailTokenInvalid)
async def confirm_email(
    data: EmailConfirmation, users: Users, mailer: MailerDep, limiter: LimiterDep
) -> None:
    """Confirm the address, with the token from the link in the mail."""
    await limiter.count(constants.CONFIRM)
    user, before = await users.confirm_email(data.token.get_secret_value())
    if before != user.email:
        mailer.send(mails.email_changed(user.email), before)


@router.post("/forgot-password", status_code=status.HTTP_202_ACCEPTED)
async def forgot_password(
    data: EmailAddress, users: Users, mailer: MailerDep, limiter: LimiterDep, settings: SettingsDep
) -> Notice:
    """Ask for a mail to set a new password by."""
    await limiter.count(constants.ASK_FOR_MAIL, account=data.email)
    user = await users.find_by_email(data.email)
    if user and user.is_active:
        mailer.send(mails.reset_password(settings, user), user.email)
    return SEE_MAIL


@router.post("/reset-password", status_code=status.HTTP_204_NO_CONTENT)
@raises(MailTokenInvalid)
async def reset_password(
    data: PasswordReset, users: Users, mailer: MailerDep, limiter: LimiterDep, settings: SettingsDep
) -> None:
    """Set a new password with the token from the link in the mail, and sign out everywhere."""
    await limiter.count(constants.CONFIRM)
    user = await users.reset_password(
        data.token.get_secret_value(), data.new_password.get_secret_value()
    )
    mailer.send(mails.password_changed(settings.mail.links_to), user.email)
