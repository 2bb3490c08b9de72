"""The security log of an account: sign-ins, changes of the password, and so on."""

from contextlib import suppress
from enum import StrEnum
from typing import Annotated, NamedTuple
from uuid import UUID, uuid4

import structlog
from fastapi import Depends, Request
from sqlalchemy import bindparam, insert, literal, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import models, schemas
from app.database import SessionDep
from app.kit.pagination import Page, PageParams
from app.kit.rate_limit import client_address, client_network
from app.reader import fetch_page

log = structlog.stdlib.get_logger(__name__)

MAX_USER_AGENT_LENGTH = 200
EVENTS = select(models.SecurityEvent.__table__).where(
    models.SecurityEvent.user_id == bindparam("user_id")
)


class Event(StrEnum):
    """What happened to an account."""

    REGISTERED = "registered"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    EMAIL_VERIFIED = "email_verified"
    EMAIL_CHANGED = "email_changed"
    PROMOTED = "promoted"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"


class Client(NamedTuple):
    """The client of a request."""

    address: str
    user_agent: str

    @property
    def network(self) -> str:
        """The network of the address."""
        return client_network(self.address)


ADMINISTRATOR = Client("administrator", "")
"""Client of an event that a superuser has caused, whose address is none of the user's data."""


class SecurityLog:
    """The log of the security events of a request.

    Args:
        session: Database session.
        client: Client of the request.
    """

    def __init__(self, session: AsyncSession, client: Client) -> None:
        self.session = session
        self.client = client

    async def record(self, event: Event, user_id: UUID, *, client: Client | None = None) -> None:
        """Record an event, in the transaction of the request.

        Args:
            event: What happened.
            user_id: The account.
            client: Who did it; by default the client of the request.
        """
        client = client or self.client
        self.session.add(
            models.SecurityEvent(
                user_id=user_id,
                kind=event,
                address=client.address,
                network=client.network,
                user_agent=client.user_agent,
            )
        )
        await self.session.flush()
        log.info(
            "security event", kind=str(event), user_id=str(user_id), client=self.client.address
        )

    async def record_failure(self, user_id: UUID | None) -> None:
        """Record a failed sign-in.

        Args:
            user_id: The account, or None if there is none, which takes the same time.
        """
        # Without waiting for the disk, whose speed would tell whether a row is written.
        await self.session.execute(text("SET LOCAL synchronous_commit TO OFF"))
        client = self.client
        values = select(
            models.User.id,
            literal(str(Event.SIGN_IN_FAILED)),
            literal(client.address),
            literal(client.network),
            literal(client.user_agent),
        ).where(models.User.id == (user_id or uuid4()))
        columns = ["user_id", "kind", "address", "network", "user_agent"]
        # The account may be deleted meanwhile.
        with suppress(IntegrityError):
            async with self.session.begin_nested():
                await self.session.execute(
                    insert(models.SecurityEvent).from_select(columns, values)
                )
        log.info("security event", kind=str(Event.SIGN_IN_FAILED), client=client.address)

    async def get_page(self, user_id: UUID, page: PageParams) -> Page[schemas.SecurityEvent]:
        """Return a page of the events of a user, newest first."""
        rows, cursor = await fetch_page(self.session, EVENTS, page, user_id=user_id)
        return Page[schemas.SecurityEvent].model_validate({"data": rows, "next_cursor": cursor})


async def get_security_log(request: Request, session: SessionDep) -> SecurityLog:
    """Return the security log of the request."""
    user_agent = request.headers.get("user-agent", "")[:MAX_USER_AGENT_LENGTH]
    return SecurityLog(session, Client(client_address(request), user_agent))


SecurityLogDep = Annotated[SecurityLog, Depends(get_security_log)]
