"""What accounts write to people."""

from urllib.parse import urlencode

from app.auth.models import User
from app.auth.tokens import Purpose, create_mail_token
from app.config import SLUG, Settings
from app.kit.mail import Mail


def verify_email(settings: Settings, user: User, *, email: str | None = None) -> Mail:
    """Ask to confirm an address: by default the user's, or the one that is to be."""
    return Mail(
        subject="Confirm your e-mail address",
        paragraphs=(
            f"Somebody, probably you, gave this address to {SLUG}.",
            "If it was not you, there is nothing to do.",
        ),
        link=_link(settings, Purpose.VERIFY_EMAIL, user, email),
        action="Confirm the address",
    )


def already_registered(links_to: str) -> Mail:
    """Tell somebody who registers again that there is no need to."""
    return Mail(
        subject="You have an account already",
        paragraphs=(
            f"Somebody, probably you, tried to register at {SLUG} with this address.",
            "There is an account: sign in, or set a new password if you have forgotten it.",
        ),
        link=f"{links_to}/forgot-password",
        action="Set a new password",
    )


def reset_password(settings: Settings, user: User) -> Mail:
    """Let somebody set a new password."""
    return Mail(
        subject="Set a new password",
        paragraphs=(
            f"Somebody, probably you, asked for a new password at {SLUG}.",
            "If it was not you, there is nothing to do: the old one goes on.",
        ),
        link=_link(settings, Purpose.RESET_PASSWORD, user),
        action="Set a new password",
    )


def password_changed(links_to: str) -> Mail:
    """Tell the owner, in case it was somebody else."""
    return Mail(
        subject="Your password was changed",
        paragraphs=(
            f"The password of your account at {SLUG} was changed, and you are signed out everywhere.",
            "If it was not you, set a new one now.",
        ),
        link=f"{links_to}/forgot-password",
        action="Set a new password",
    )


def email_changed(new: str) -> Mail:
    """Tell the old address, in case it was somebody else."""
    return Mail(
        subject="Your e-mail address was changed",
        paragraphs=(
            f"Your account at {SLUG} now has the address {new}.",
            "If it was not you, answer this mail.",
        ),
    )


def _link(settings: Settings, purpose: Purpose, user: User, email: str | None = None) -> str:
    token = create_mail_token(purpose, user, settings.auth, email=email)
    return f"{settings.mail.links_to}/{purpose}?{urlencode({'token': token})}"
