"""Refresh tokens: opaque, stored hashed, good for one use.

A token that comes back after its use was stolen, or its successor was: nobody can tell which, so
that all that follow from the sign-in are revoked (RFC 9700, section 4.14).
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import delete, func, select, update

from app.auth.exceptions import RefreshTokenInvalid
from app.auth.models import RefreshToken, User
from app.database import SessionDep
from app.kit.state import SettingsDep

log = structlog.stdlib.get_logger(__name__)


def digest(token: str) -> str:
    """Hash a token for storage."""
    return hashlib.sha256(token.encode()).hexdigest()


class RefreshTokenService:
    """The sign-ins that go on."""

    def __init__(self, session: SessionDep, settings: SettingsDep) -> None:
        self.session = session
        self.lifetime = timedelta(days=settings.auth.refresh_token_days)

    async def issue(self, user: User, family_id: UUID | None = None) -> str:
        """Make a token.

        Args:
            user: Whose sign-in it goes on with.
            family_id: The sign-in; a new one by default.
        """
        token = secrets.token_urlsafe(32)
        expired = (RefreshToken.user_id == user.id) & (RefreshToken.expires_at < func.now())
        await self.session.execute(delete(RefreshToken).where(expired))
        self.session.add(
            RefreshToken(
                user_id=user.id,
                family_id=family_id or uuid4(),
                token_hash=digest(token),
                expires_at=datetime.now(UTC) + self.lifetime,
            )
        )
        await self.session.flush()
        return token

    async def rotate(self, token: str) -> tuple[User, str]:
        """Use a token up, and make the next.

        Raises:
            RefreshTokenInvalid: It is not good; if it was once, its family is revoked.
        """
        # In one statement: of two who come at once, one finds it used.
        used = (
            update(RefreshToken)
            .where(RefreshToken.token_hash == digest(token))
            .where(RefreshToken.used_at.is_(None), RefreshToken.expires_at > func.now())
            .values(used_at=func.now())
            .returning(RefreshToken.user_id, RefreshToken.family_id)
        )
        row = (await self.session.execute(used)).one_or_none()
        if row is None:
            if await self.revoke(token):
                log.warning("refresh token came back: its sign-in is revoked")
            raise RefreshTokenInvalid
        user = await self.session.get(User, row.user_id)
        if user is None or not user.is_active:
            raise RefreshTokenInvalid
        return user, await self.issue(user, row.family_id)

    async def revoke(self, token: str) -> bool:
        """End the sign-in that a token belongs to; tell whether there was one."""
        family = select(RefreshToken.family_id).where(RefreshToken.token_hash == digest(token))
        revoked = delete(RefreshToken).where(RefreshToken.family_id.in_(family))
        return bool((await self.session.scalars(revoked.returning(RefreshToken.id))).all())

    async def revoke_all(self, user: User) -> None:
        """End all sign-ins of a user at once, access tokens included."""
        await self.session.execute(delete(RefreshToken).where(RefreshToken.user_id == user.id))
        user.token_version += 1
        await self.session.flush()
