from sqlalchemy import Text, false, true
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Record


class User(Record):
    """A row of `users`."""

    __tablename__ = "users"

    # As normalise_email writes it.
    email: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=true())
    is_superuser: Mapped[bool] = mapped_column(server_default=false())
