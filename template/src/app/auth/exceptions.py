from http import HTTPStatus
from typing import ClassVar

from app.kit.problems import Problem

CHALLENGE = {"WWW-Authenticate": "Bearer"}


class NotAuthenticated(Problem):
    """Sign in first: there is no valid access token."""

    status = HTTPStatus.UNAUTHORIZED
    HEADERS: ClassVar[dict[str, str]] = CHALLENGE


class WrongCredentials(Problem):
    """The e-mail address or the password is wrong."""

    status = HTTPStatus.UNAUTHORIZED
    HEADERS: ClassVar[dict[str, str]] = CHALLENGE


class RefreshTokenInvalid(Problem):
    """Sign in again: the refresh token is used up, expired or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    HEADERS: ClassVar[dict[str, str]] = CHALLENGE
    # What it has revoked stays revoked.
    commits = True


class EmailNotVerified(Problem):
    """Confirm the e-mail address first, by the link in the mail."""

    status = HTTPStatus.FORBIDDEN


class SuperuserRequired(Problem):
    """Only superusers may do this."""

    status = HTTPStatus.FORBIDDEN


class CurrentPasswordWrong(Problem):
    """The current password is wrong."""

    status = HTTPStatus.FORBIDDEN


class MailTokenInvalid(Problem):
    """The link is no longer good: it is used, expired, or replaced. Ask for another."""

    status = HTTPStatus.BAD_REQUEST


class UserNotFound(Problem):
    """There is no such user."""

    status = HTTPStatus.NOT_FOUND
