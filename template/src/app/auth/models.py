from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Entity


class User(Entity):
    """A user."""

    __tablename__ = "users"

    # As returned by normalize_email.
    email: Mapped[str] = mapped_column(Text, unique=True)
    email_verified_at: Mapped[datetime | None]
    password_hash: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=true())
    is_superuser: Mapped[bool] = mapped_column(server_default=false())

    @property
    def email_verified(self) -> bool:
        """Whether the email address is verified."""
        return self.email_verified_at is not None


class Session(Entity):
    """A session: one sign-in on one device. Deleting it revokes all of its tokens."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    # Signs the refresh tokens, together with SECRET_KEY.
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    # Number of the latest refresh token. The previous ones are used.
    generation: Mapped[int] = mapped_column(server_default=text("0"))
    refreshed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    address: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)


class SecurityEvent(Entity):
    """Something that matters to the security of an account."""

    __tablename__ = "security_events"
    __table_args__ = (Index(None, "user_id", "created_at", "id"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    # The address, or the /64 of an IPv6 address, which changes often.
    network: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)
