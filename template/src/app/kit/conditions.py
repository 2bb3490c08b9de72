"""Conditional requests (RFC 9110, section 13): no lost updates, and no body that the client has."""

import re
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from app.kit.problems import Problem, raises

MAX_LENGTH = 1_000
REVALIDATE = "private, no-cache"


class NotModified(Problem):
    """The client already has this version."""

    status = HTTPStatus.NOT_MODIFIED

    def to_response(self) -> Response:
        """Create the response, which has no body."""
        return Response(status_code=self.status, headers=self.headers)


class PreconditionFailed(Problem):
    """The record has changed. Get it again before you repeat the request."""

    status = HTTPStatus.PRECONDITION_FAILED


def etag(updated_at: datetime, *lists: Iterable[UUID | None]) -> str:
    """Return the entity tag of a version.

    Args:
        updated_at: Time of its last update.
        lists: IDs of linked records. When one of them is deleted, `updated_at` stays the same.
    """
    tag = f"{round(updated_at.timestamp() * 1_000_000):x}"
    for ids in lists:
        text = ",".join(sorted(map(str, ids)))
        tag += f"-{sha256(text.encode()).hexdigest()[:16]}"
    return f'"{tag}"'


class Conditions:
    """The conditions of one request.

    Args:
        request: The request.
        response: Response to which the ETag header is added.
        if_match: The If-Match header.
        if_none_match: The If-None-Match header.
    """

    def __init__(
        self, request: Request, response: Response, if_match: str | None, if_none_match: str | None
    ) -> None:
        self.response = response
        self.if_match = if_match
        self.if_none_match = if_none_match
        self.changes = request.method not in {"GET", "HEAD"}

    def check(self, updated_at: datetime, *lists: Iterable[UUID | None]) -> None:
        """Compare the conditions with the current version of a record.

        Args:
            updated_at: Time of its last update.
            lists: As for `etag`.

        Raises:
            PreconditionFailed: The client expects another version.
            NotModified: The client has this version.
        """
        current = etag(updated_at, *lists)
        if self.if_match is not None and not _contains(self.if_match, current, weak=False):
            raise PreconditionFailed
        if self.if_none_match is not None and _contains(self.if_none_match, current, weak=True):
            headers = {"ETag": current, "Cache-Control": REVALIDATE}
            raise PreconditionFailed if self.changes else NotModified(headers=headers)
        if not self.changes:
            self.set_etag(updated_at, *lists)

    def set_etag(self, updated_at: datetime, *lists: Iterable[UUID | None]) -> None:
        """Add the ETag header to the response. The client may store it, but must check it each time.

        Args:
            updated_at: Time of the last update of the record.
            lists: As for `etag`.
        """
        self.response.headers["ETag"] = etag(updated_at, *lists)
        self.response.headers["Cache-Control"] = REVALIDATE


def _contains(header: str, current: str, *, weak: bool) -> bool:
    tags = {tag.strip() for tag in header.split(",")}
    if weak:
        tags = {tag.removeprefix("W/") for tag in tags}
    # A proxy that compresses the response adds the encoding to the tag.
    return "*" in tags or current in {re.sub(r'-(gzip|zstd)"$', '"', tag) for tag in tags}


@raises(PreconditionFailed, NotModified)
async def get_conditions(
    request: Request,
    response: Response,
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            max_length=MAX_LENGTH,
            description="Fail with 412 unless the ETag is one of these.",
        ),
    ] = None,
    if_none_match: Annotated[
        str | None,
        Header(
            alias="If-None-Match",
            max_length=MAX_LENGTH,
            description="Respond with 304 if the ETag is one of these.",
        ),
    ] = None,
) -> Conditions:
    """Return the conditions of the request."""
    return Conditions(request, response, if_match, if_none_match)


ConditionsDep = Annotated[Conditions, Depends(get_conditions)]
