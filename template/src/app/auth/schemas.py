from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StrictBool

from app.auth.constants import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from app.auth.emails import MAX_EMAIL_LENGTH, normalize_email
from app.kit.schemas import RequestModel, ResponseModel

Email = Annotated[
    str,
    # The length is checked first: to parse some texts of a megabyte takes minutes.
    Field(
        max_length=MAX_EMAIL_LENGTH,
        description="Email address.",
        examples=["ada@example.com"],
        json_schema_extra={"format": "email"},
    ),
    AfterValidator(normalize_email),
]
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=MIN_PASSWORD_LENGTH,
        max_length=MAX_PASSWORD_LENGTH,
        description="New password.",
        examples=["correct horse battery"],
    ),
]
CurrentPassword = Annotated[
    SecretStr,
    Field(max_length=MAX_PASSWORD_LENGTH, description="Current password."),
]
Token = Annotated[SecretStr, Field(max_length=2_000)]


class User(ResponseModel):
    """A user."""

    id: UUID = Field(description="Unique identifier.")
    email: str = Field(description="Email address.", examples=["ada@example.com"])
    email_verified: bool = Field(description="Whether the email address is verified.")
    is_superuser: bool = Field(description="Whether the user is a superuser.")
    created_at: datetime = Field(description="Registration time (UTC).")


class UserCreate(RequestModel):
    """A new account."""

    email: Email
    password: NewPassword


class TokenRequest(RequestModel):
    """Credentials (OAuth2 password flow, RFC 6749, section 4.3.2)."""

    model_config = ConfigDict(extra="ignore")  # RFC 6749, section 3.2

    grant_type: Literal["password"] = Field("password", description="Always `password`.")
    username: str = Field(
        max_length=MAX_EMAIL_LENGTH, description="Email address.", examples=["ada@example.com"]
    )
    password: SecretStr = Field(
        max_length=MAX_PASSWORD_LENGTH, description="Password.", examples=["correct horse battery"]
    )


class EmailRequest(RequestModel):
    """An email address."""

    email: Email


class EmailChange(RequestModel):
    """A new email address."""

    email: Email
    current_password: CurrentPassword


class PasswordChange(RequestModel):
    """A new password."""

    current_password: CurrentPassword
    new_password: NewPassword


class PasswordReset(RequestModel):
    """A new password for a forgotten one."""

    token: Token = Field(description="Token from the link in the email.")
    new_password: NewPassword


class EmailVerification(RequestModel):
    """The token that verifies an email address."""

    token: Token = Field(description="Token from the link in the email.")


class AccountDeletion(RequestModel):
    """Confirmation that an account is to be deleted."""

    current_password: CurrentPassword


class RefreshToken(RequestModel):
    """A refresh token."""

    refresh_token: Token = Field(description="Refresh token.")


class TokenPair(ResponseModel):
    """An access token and a refresh token (RFC 6749, section 5.1)."""

    access_token: str = Field(description="Access token for the `Authorization: Bearer` header.")
    token_type: Literal["bearer"] = Field("bearer", description="Always `bearer`.")
    expires_in: int = Field(description="Lifetime of the access token, in seconds.")
    refresh_token: str = Field(description="Single-use refresh token.")


class Session(ResponseModel):
    """A session: one sign-in on one device."""

    id: UUID = Field(description="Unique identifier.")
    address: str = Field(description="IP address of the sign-in.", examples=["203.0.113.7"])
    user_agent: str = Field(description="User-Agent header of the sign-in.", examples=["curl/8.14"])
    is_current: bool = Field(default=False, description="Whether this request belongs to it.")
    created_at: datetime = Field(description="Time of the sign-in (UTC).")
    refreshed_at: datetime = Field(description="Time of the last refresh (UTC).")
    expires_at: datetime = Field(description="Time at which the user must sign in again (UTC).")


class SecurityEvent(ResponseModel):
    """Something that matters to the security of an account."""

    kind: str = Field(description="What happened.", examples=["signed_in"])
    address: str = Field(description="IP address of the client.", examples=["203.0.113.7"])
    user_agent: str = Field(description="User-Agent header.", examples=["curl/8.14"])
    created_at: datetime = Field(description="Time of the event (UTC).")


class Message(ResponseModel):
    """A message for the user."""

    detail: str = Field(description="Human-readable message.")


class Account(User):
    """A user, as superusers see it."""

    is_active: bool = Field(description="Whether the user can sign in.")


class AccountUpdate(RequestModel):
    """Changes to an account."""

    is_active: StrictBool = Field(
        description="Whether the user can sign in. `false` revokes all sessions of the user."
    )
