"""Sessions and their refresh tokens.

A refresh token is the ID of a session, a number, and a signature. Each refresh increments the number,
so only the latest token is valid. If a used token is presented again, either it or its successor was
stolen. The server cannot tell which, so it revokes the session (RFC 9700, section 4.14).
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import models, schemas
from app.auth.constants import REFRESH_GRACE_SECONDS
from app.auth.events import Event, SecurityLog
from app.auth.exceptions import InvalidRefreshToken, SessionNotFound
from app.config import Settings

SECRET_BYTES = 32
ID_BYTES, NUMBER_BYTES = 16, 4


class RefreshToken(NamedTuple):
    """The parts of a refresh token."""

    session_id: UUID
    generation: int
    signature: bytes

    def encode(self) -> str:
        """Return the token as the client stores it."""
        number = self.generation.to_bytes(NUMBER_BYTES)
        return urlsafe_b64encode(self.session_id.bytes + number + self.signature).decode()

    @classmethod
    def decode(cls, token: str) -> Self:
        """Split a token. The signature is not verified.

        Raises:
            InvalidRefreshToken: It is not a refresh token.
        """
        try:
            content = urlsafe_b64decode(token.encode("ascii"))
        except ValueError as error:
            raise InvalidRefreshToken from error
        if len(content) != ID_BYTES + NUMBER_BYTES + hashlib.sha256().digest_size:
            raise InvalidRefreshToken
        number = content[ID_BYTES : ID_BYTES + NUMBER_BYTES]
        signature = content[ID_BYTES + NUMBER_BYTES :]
        return cls(UUID(bytes=content[:ID_BYTES]), int.from_bytes(number), signature)


class SessionService:
    """Sessions of users.

    Args:
        session: Database session.
        settings: Key and lifetimes.
        log: Log of the request.
    """

    def __init__(self, session: AsyncSession, settings: Settings, log: SecurityLog) -> None:
        self.session = session
        self.settings = settings.auth
        self.log = log

    async def create(self, user: models.User) -> models.Session:
        """Create a session.

        Args:
            user: The user. The row must be locked, so that no session survives a concurrent change of
                the password.
        """
        now = datetime.now(UTC)
        expired = (models.Session.user_id == user.id) & (models.Session.expires_at < now)
        await self.session.execute(delete(models.Session).where(expired))
        row = models.Session(
            user_id=user.id,
            secret=secrets.token_bytes(SECRET_BYTES),
            refreshed_at=now,
            expires_at=now + timedelta(days=self.settings.session_days),
            address=self.log.client.address,
            user_agent=self.log.client.user_agent,
        )
        self.session.add(row)
        await self.session.flush()
        return row

    def refresh_token(self, row: models.Session) -> str:
        """Return the current refresh token of a session."""
        return self._sign(row, row.generation).encode()

    async def refresh(self, token: str) -> models.Session:
        """Replace a refresh token by its successor.

        For some seconds, the previous token returns the same successor: two tabs may refresh at the same
        time, and a response may get lost.

        Raises:
            InvalidRefreshToken: The token is invalid. If it was used before, its session is revoked.
        """
        row, generation = await self._verify(token)
        now = datetime.now(UTC)
        if row.refreshed_at + timedelta(days=self.settings.session_idle_days) < now:
            raise InvalidRefreshToken
        if generation == row.generation:
            row.generation += 1
            row.refreshed_at = now
            await self.session.flush()
            return row
        grace = row.refreshed_at + timedelta(seconds=REFRESH_GRACE_SECONDS)
        if generation == row.generation - 1 and now < grace:
            return row
        await self.session.delete(row)
        await self.log.record(Event.REFRESH_TOKEN_REUSED, row.user_id)
        raise InvalidRefreshToken

    async def sign_out(self, token: str) -> None:
        """Revoke the session of a refresh token. An invalid token is ignored."""
        try:
            row, _ = await self._verify(token)
        except InvalidRefreshToken:
            return
        await self.session.delete(row)
        await self.log.record(Event.SIGNED_OUT, row.user_id)

    async def get_all(self, user: models.User, current: UUID | None) -> list[schemas.Session]:
        """Return the sessions of a user, latest first.

        Args:
            user: The user.
            current: ID of the session of this request.
        """
        mine = select(models.Session).where(models.Session.user_id == user.id)
        alive = mine.where(models.Session.expires_at > datetime.now(UTC))
        rows = await self.session.scalars(alive.order_by(models.Session.refreshed_at.desc()))
        return [
            schemas.Session.model_validate(row).model_copy(update={"is_current": row.id == current})
            for row in rows
        ]

    async def revoke(self, user: models.User, session_id: UUID) -> None:
        """Revoke one session of a user.

        Raises:
            SessionNotFound: The session does not exist, or belongs to another user.
        """
        mine = (models.Session.id == session_id) & (models.Session.user_id == user.id)
        revoked = delete(models.Session).where(mine).returning(models.Session.id)
        if await self.session.scalar(revoked) is None:
            raise SessionNotFound
        await self.log.record(Event.SIGNED_OUT, user.id)

    async def revoke_all(self, user_id: UUID) -> None:
        """Revoke all sessions of a user.

        The row of the user must be locked or changed before, so that no concurrent sign-in is missed.
        """
        await self.session.execute(delete(models.Session).where(models.Session.user_id == user_id))

    async def _verify(self, token: str) -> tuple[models.Session, int]:
        """Return the session of a refresh token, locked, and the number of the token."""
        parts = RefreshToken.decode(token)
        row = await self.session.get(models.Session, parts.session_id, with_for_update=True)
        if row is None or row.expires_at < datetime.now(UTC):
            raise InvalidRefreshToken
        expected = self._sign(row, parts.generation).signature
        if not hmac.compare_digest(expected, parts.signature):
            raise InvalidRefreshToken
        return row, parts.generation

    def _sign(self, row: models.Session, generation: int) -> RefreshToken:
        key = self.settings.secret_key.get_secret_value().encode() + row.secret
        message = row.id.bytes + generation.to_bytes(NUMBER_BYTES)
        return RefreshToken(row.id, generation, hmac.new(key, message, hashlib.sha256).digest())
