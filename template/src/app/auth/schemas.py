from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, EmailStr, Field, SecretStr

from app.auth.constants import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from app.auth.emails import normalise_email
from app.kit.schemas import Input, Output

Email = Annotated[EmailStr, AfterValidator(normalise_email)]
Password = Annotated[
    SecretStr, Field(min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH)
]


class User(Output):
    """A user."""

    id: UUID = Field(description="Names the user.")
    email: EmailStr = Field(description="How to reach them.", examples=["ada@example.com"])
    is_superuser: bool = Field(description="Whether they may do everything.")
    created_at: datetime = Field(description="When they registered.")


class UserCreate(Input):
    """A new account."""

    email: Email = Field(description="Names the account.", examples=["ada@example.com"])
    password: Password = Field(
        description="A secret of at least eight characters.", examples=["correct horse battery"]
    )


class AccessToken(Output):
    """Shows who you are, for a while (RFC 6749, section 5.1)."""

    access_token: str = Field(description="Send it as `Authorization: Bearer ...`.")
    token_type: Literal["bearer"] = Field("bearer", description="How to send it.")
    expires_in: int = Field(description="Seconds that it is good for.")
