from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Text, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Record


class User(Record):
    """A row of `users`."""

    __tablename__ = "users"

    # As normalise_email writes it.
    email: Mapped[str] = mapped_column(Text, unique=True)
    email_verified_at: Mapped[datetime | None]
    password_hash: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=true())
    is_superuser: Mapped[bool] = mapped_column(server_default=false())
    # Access tokens carry it: one more, and all that are out are worthless.
    token_version: Mapped[int] = mapped_column(server_default=text("0"))

    @property
    def email_verified(self) -> bool:
        """Whether the address is confirmed."""
        return self.email_verified_at is not None


class RefreshToken(Record):
    """A row of `refresh_tokens`. All that follow from one sign-in are a family."""

    __tablename__ = "refresh_tokens"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    # Of 256 random bits a fast hash is enough: there is nothing to guess.
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
