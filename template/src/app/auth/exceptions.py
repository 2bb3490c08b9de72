from http import HTTPStatus
from typing import ClassVar

from app.kit.problems import Problem

CHALLENGE = {"WWW-Authenticate": "Bearer"}


class NotAuthenticated(Problem):
    """A valid access token is required. Sign in first."""

    status = HTTPStatus.UNAUTHORIZED
    HEADERS: ClassVar[dict[str, str]] = CHALLENGE


class InvalidCredentials(Problem):
    """The email address or the password is incorrect."""

    status = HTTPStatus.UNAUTHORIZED
    HEADERS: ClassVar[dict[str, str]] = CHALLENGE
    # The failure is recorded.
    commits = True


class InvalidRefreshToken(Problem):
    """The refresh token is used, expired or revoked. Sign in again."""

    status = HTTPStatus.UNAUTHORIZED
    HEADERS: ClassVar[dict[str, str]] = CHALLENGE
    # If the token was used before, its session is revoked.
    commits = True


class EmailNotVerified(Problem):
    """The email address is not verified. Open the link in the email first."""

    status = HTTPStatus.FORBIDDEN


class SuperuserRequired(Problem):
    """Only superusers can do this."""

    status = HTTPStatus.FORBIDDEN


class IncorrectPassword(Problem):
    """The current password is incorrect."""

    status = HTTPStatus.FORBIDDEN


class InvalidMailToken(Problem):
    """The link is used, expired or replaced by a newer one. Request another email."""

    status = HTTPStatus.BAD_REQUEST


class SessionNotFound(Problem):
    """The session does not exist."""

    status = HTTPStatus.NOT_FOUND


class LastSuperuser(Problem):
    """This is the last active superuser. Promote another user first."""

    status = HTTPStatus.CONFLICT


class UserNotFound(Problem):
    """The user does not exist."""

    status = HTTPStatus.NOT_FOUND
