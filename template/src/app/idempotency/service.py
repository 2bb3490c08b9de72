"""Safe retries: of the POST requests with one `Idempotency-Key`, only the first is carried out.

See https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.idempotency.models import StoredResponse
from app.kit.problems import Problem

LIFETIME = timedelta(hours=24)


class RequestInProgress(Problem):
    """A request with this Idempotency-Key is in progress. Try again in a second."""

    status = HTTPStatus.CONFLICT
    HEADERS: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class IdempotencyKeyReused(Problem):
    """This Idempotency-Key was used with a different body. Use a new key for a new request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Replay(Problem):
    """The response to the first request, which is sent again."""

    status = HTTPStatus.CREATED

    def to_response(self) -> Response:
        """Create the response."""
        headers = {"Idempotent-Replayed": "true"}
        return Response(str(self), self.status, headers, media_type="application/json")


class Once:
    """A request with an Idempotency-Key, which is carried out only once.

    Args:
        session: Database session of the request. The response is stored in the same transaction.
        key: Key of the client, if any.
        scope: Requests in different scopes may use the same key.
        columns: Values of further columns of the stored response.
    """

    def __init__(
        self, session: AsyncSession, key: str | None, scope: str, **columns: object
    ) -> None:
        self.session = session
        self.key = key
        self.scope = scope
        self.columns = columns

    async def __call__[Data: BaseModel, Result: BaseModel](
        self, create: Callable[[Data], Awaitable[Result]], data: Data
    ) -> Result:
        """Create a record, unless an earlier request with the same key has created it.

        Args:
            create: Creates the record.
            data: Body of the request.

        Raises:
            Replay: An earlier request has created it. The client gets the same response.
            RequestInProgress: An earlier request has not finished.
            IdempotencyKeyReused: The body is different.
        """
        if self.key is None:
            return await create(data)
        key = hashlib.sha256(f"{self.scope}\n{self.key}".encode()).digest()
        request = hashlib.sha256(data.model_dump_json().encode()).digest()
        lock = func.pg_try_advisory_xact_lock(int.from_bytes(key[:8], signed=True))
        if not await self.session.scalar(select(lock)):
            raise RequestInProgress
        now = datetime.now(UTC)
        stored = await self.session.get(StoredResponse, key)
        if stored and stored.created_at > now - LIFETIME:
            raise Replay(stored.content) if stored.request == request else IdempotencyKeyReused
        result = await create(data)
        content = result.model_dump_json(by_alias=True)
        response = StoredResponse(
            key=key, request=request, content=content, created_at=now, **self.columns
        )
        await self.session.merge(response)
        return result
