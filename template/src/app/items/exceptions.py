from http import HTTPStatus

from app.kit.problems import Problem


class ItemNotFound(Problem):
    """There is no such item."""

    status = HTTPStatus.NOT_FOUND
