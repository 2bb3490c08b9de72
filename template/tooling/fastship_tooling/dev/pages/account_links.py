"""The pages that the links in emails open, for development without a front end."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AccountLink:
    """A page with a form that calls the API.

    Args:
        endpoint: End of the path of the endpoint.
        title: Heading.
        action: Label of the button.
        done: Message after success.
        field: Name, label and type of the input field, if any.
    """

    endpoint: str
    title: str
    action: str
    done: str
    field: tuple[str, str, str] | None = None


ACCOUNT_LINKS = {
    "/verify-email": AccountLink(
        "/verify-email/confirm",
        "Confirm your email address",
        "Confirm email address",
        "Your email address is confirmed.",
    ),
    "/reset-password": AccountLink(
        "/reset-password",
        "Choose a new password",
        "Change password",
        "Your password was changed. Sign in with the new one.",
        ("new_password", "New password", "password"),
    ),
    "/forgot-password": AccountLink(
        "/forgot-password",
        "Reset your password",
        "Send email",
        "If the address can be used, an email is in the list of kept emails now.",
        ("email", "Email address", "email"),
    ),
}
"""The pages by their path."""
