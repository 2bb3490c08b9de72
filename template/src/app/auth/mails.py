"""The emails about accounts."""

from urllib.parse import urlencode

from app.auth import models
from app.auth.tokens import MailToken, Purpose
from app.config import Settings
from app.kit.mail import Mail

HOUR = 60


def verify_email(settings: Settings, user: models.User) -> Mail:
    """Return the email with the link that verifies the address of an account.

    Args:
        settings: Provides the name of the application and the URL of the front end.
        user: The account.
    """
    name = settings.app.name
    return Mail(
        subject="Confirm your email address",
        paragraphs=(
            f"Thanks for signing up for {name}. Please confirm that {user.email} is your email address.",
        ),
        link=_link(settings, Purpose.VERIFY_EMAIL, user),
        action="Confirm email",
        notes=(
            _lifetime(settings),
            f"If you didn't sign up for {name}, you can ignore this email.",
        ),
    )


def change_email(settings: Settings, user: models.User, email: str) -> Mail:
    """Return the email with the link that changes the address of an account, for the new address."""
    return Mail(
        subject="Confirm your new email address",
        paragraphs=(
            f"You asked to change the email address of your {settings.app.name} account to {email}. "
            "Please confirm the new address. Until you do, the previous one remains in use.",
        ),
        link=_link(settings, Purpose.VERIFY_EMAIL, user, email),
        action="Confirm new address",
        notes=(
            _lifetime(settings),
            "If you didn't ask for this change, you can ignore this email. Nothing will change.",
        ),
    )


def already_registered(settings: Settings, email: str) -> Mail:
    """Return the email for a registration with the address of an existing account."""
    return Mail(
        subject="You already have an account",
        paragraphs=(
            f"You tried to create an account for {settings.app.name}, but {email} already has one.",
            "Sign in as usual. If you have forgotten your password, you can choose a new one.",
        ),
        link=f"{settings.mail.links_to}/forgot-password",
        action="Reset password",
        notes=(
            "If you didn't try to sign up, you can ignore this email. Your account hasn't changed.",
        ),
    )


def reset_password(settings: Settings, user: models.User) -> Mail:
    """Return the email with the link that resets a password."""
    return Mail(
        subject="Reset your password",
        paragraphs=(
            f"We received a request to reset the password of your {settings.app.name} account, "
            f"{user.email}. You can choose a new password now.",
        ),
        link=_link(settings, Purpose.RESET_PASSWORD, user),
        action="Reset password",
        notes=(
            _lifetime(settings),
            "If you didn't ask for this, you can ignore this email. Your password stays the same.",
        ),
    )


def password_changed(settings: Settings, email: str) -> Mail:
    """Return the notification about a changed password."""
    return Mail(
        subject="Your password was changed",
        paragraphs=(
            f"The password of your {settings.app.name} account, {email}, was changed, and you were "
            "signed out on all devices. If this was you, you don't need to do anything.",
            "If it wasn't you, someone else may have access to your account. Reset your password now.",
        ),
        link=f"{settings.mail.links_to}/forgot-password",
        action="Reset password",
    )


def email_changed(settings: Settings, previous: str, email: str) -> Mail:
    """Return the notification about a changed address, for the previous address."""
    return Mail(
        subject="Your email address was changed",
        paragraphs=(
            f"The email address of your {settings.app.name} account was changed from {previous} to "
            f"{email}. From now on, sign in with the new address.",
            "If you didn't make this change, reply to this email right away, so that we can help you.",
        ),
    )


def _lifetime(settings: Settings) -> str:
    minutes = settings.auth.mail_token_minutes
    number, unit = (minutes, "minute") if minutes % HOUR else (minutes // HOUR, "hour")
    return f"The link can be used once, and expires in {number} {unit}{'s' * (number > 1)}."


def _link(settings: Settings, purpose: Purpose, user: models.User, email: str = "") -> str:
    token = MailToken.create(purpose, user, settings.auth, email=email).encode()
    return f"{settings.mail.links_to}/{purpose}?{urlencode({'token': token})}"
