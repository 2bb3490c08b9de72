"""The emails about accounts."""

from urllib.parse import urlencode

from app.auth import models
from app.auth.tokens import Purpose, create_mail_token
from app.config import Settings
from app.kit.mail import Mail

IGNORE = "If you didn't request this, you can ignore this email."


def verify_email(settings: Settings, user: models.User, *, email: str | None = None) -> Mail:
    """Return the email with the link that verifies an address.

    Args:
        settings: Provides the name of the application and the URL of the front end.
        user: The account.
        email: The new address, for a change of address; by default the address of the account.
    """
    return Mail(
        subject="Confirm your email address",
        paragraphs=(f"Confirm your email address for {settings.app.name}.", IGNORE),
        link=_link(settings, Purpose.VERIFY_EMAIL, user, email),
        action="Confirm email address",
    )


def already_registered(settings: Settings) -> Mail:
    """Return the email for a registration with the address of an existing account."""
    return Mail(
        subject="You already have an account",
        paragraphs=(
            f"You tried to create an account for {settings.app.name}, but this address already has one.",
            f"Sign in, or reset your password if you forgot it. {IGNORE}",
        ),
        link=f"{settings.mail.links_to}/forgot-password",
        action="Reset password",
    )


def reset_password(settings: Settings, user: models.User) -> Mail:
    """Return the email with the link that resets a password."""
    return Mail(
        subject="Reset your password",
        paragraphs=(f"Reset your password for {settings.app.name}.", IGNORE),
        link=_link(settings, Purpose.RESET_PASSWORD, user),
        action="Reset password",
    )


def password_changed(settings: Settings) -> Mail:
    """Return the notification about a changed password."""
    return Mail(
        subject="Your password was changed",
        paragraphs=(
            f"Your password for {settings.app.name} was changed, and all devices were signed out.",
            "If you didn't do this, reset your password now.",
        ),
        link=f"{settings.mail.links_to}/forgot-password",
        action="Reset password",
    )


def email_changed(settings: Settings, new: str) -> Mail:
    """Return the notification about a changed address, for the previous address."""
    return Mail(
        subject="Your email address was changed",
        paragraphs=(
            f"The email address of your {settings.app.name} account was changed to {new}.",
            "If you didn't do this, reply to this email.",
        ),
    )


def _link(settings: Settings, purpose: Purpose, user: models.User, email: str | None = None) -> str:
    token = create_mail_token(purpose, user, settings.auth, email=email)
    return f"{settings.mail.links_to}/{purpose}?{urlencode({'token': token})}"
