from http import HTTPStatus
from typing import ClassVar

from app.kit.problems import Problem


class NotAuthenticated(Problem):
    """Sign in first: there is no valid access token."""

    status = HTTPStatus.UNAUTHORIZED
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class WrongCredentials(Problem):
    """The e-mail address or the password is wrong."""

    status = HTTPStatus.UNAUTHORIZED
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class EmailTaken(Problem):
    """There is an account with this e-mail address."""

    status = HTTPStatus.CONFLICT
