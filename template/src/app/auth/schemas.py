from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, EmailStr, Field, SecretStr

from app.auth.constants import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from app.auth.emails import normalise_email
from app.kit.schemas import Flag, Input, Output

Email = Annotated[
    EmailStr,
    AfterValidator(normalise_email),
    Field(description="Names the account.", examples=["ada@example.com"]),
]
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=MIN_PASSWORD_LENGTH,
        max_length=MAX_PASSWORD_LENGTH,
        description="A secret of at least eight characters.",
        examples=["correct horse battery"],
    ),
]
CurrentPassword = Annotated[
    SecretStr,
    Field(max_length=MAX_PASSWORD_LENGTH, description="Shows that it is really you."),
]
Token = Annotated[SecretStr, Field(max_length=2_000)]


class User(Output):
    """A user."""

    id: UUID = Field(description="Names the user.")
    email: str = Field(description="How to reach them.", examples=["ada@example.com"])
    email_verified: bool = Field(description="Whether they have confirmed the address.")
    is_superuser: bool = Field(description="Whether they may do everything.")
    created_at: datetime = Field(description="When they registered.")


class UserCreate(Input):
    """A new account."""

    email: Email
    password: NewPassword


class EmailAddress(Input):
    """Whom to write to."""

    email: Email


class EmailChange(Input):
    """A new address."""

    email: Email
    current_password: CurrentPassword


class PasswordChange(Input):
    """A new password."""

    current_password: CurrentPassword
    new_password: NewPassword


class PasswordReset(Input):
    """A new password for an account that its owner cannot get into."""

    token: Token = Field(description="From the link in the mail.")
    new_password: NewPassword


class EmailConfirmation(Input):
    """The proof that mail to an address arrives."""

    token: Token = Field(description="From the link in the mail.")


class Deletion(Input):
    """The end of an account."""

    current_password: CurrentPassword


class RefreshToken(Input):
    """What goes on with a sign-in."""

    refresh_token: Token = Field(description="The newest one; each is good for one use.")


class TokenPair(Output):
    """Shows who you are, for a while (RFC 6749, section 5.1)."""

    access_token: str = Field(description="Send it as `Authorization: Bearer ...`.")
    token_type: Literal["bearer"] = Field("bearer", description="How to send it.")
    expires_in: int = Field(description="Seconds that the access token is good for.")
    refresh_token: str = Field(description="Gets the next pair, once.")


class Notice(Output):
    """What happens next."""

    detail: str = Field(description="To be shown to people.")


class AccountView(User):
    """A user, as superusers see them."""

    is_active: bool = Field(description="Whether they may sign in.")


class AccountUpdate(Input):
    """What to change about somebody's account."""

    is_active: Flag = Field(
        description="Whether they may sign in; false signs them out everywhere."
    )
