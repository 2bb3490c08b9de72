from http import HTTPStatus

from app.kit.problems import Problem


class ItemNotFound(Problem):
    """The item does not exist."""

    status = HTTPStatus.NOT_FOUND
