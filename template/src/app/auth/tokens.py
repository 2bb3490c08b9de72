"""JSON Web Tokens (RFC 7519), signed with one pinned algorithm.

The audience tells what a token is for, so that none passes as another.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import jwt

from app.auth.constants import ALGORITHM
from app.auth.models import User
from app.config import SLUG, AuthSettings


class Purpose(StrEnum):
    """What a token is for."""

    ACCESS = "access"
    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105

    @property
    def audience(self) -> str:
        """The claim `aud`."""
        return f"{SLUG}:{self}"


class Access(NamedTuple):
    """What an access token says."""

    user_id: UUID
    version: int


class MailToken(NamedTuple):
    """What a token from a mail says."""

    user_id: UUID
    email: str
    fingerprint: str


def create_access_token(user: User, settings: AuthSettings) -> str:
    """Sign a token that shows its bearer to be `user`."""
    lifetime = timedelta(minutes=settings.access_token_minutes)
    return _sign(Purpose.ACCESS, user, settings, lifetime, ver=user.token_version)


def read_access_token(token: str, settings: AuthSettings) -> Access | None:
    """Tell whom a token shows its bearer to be; None, if it is not valid."""
    claims = _read(Purpose.ACCESS, token, settings, "ver")
    return Access(claims["sub"], claims["ver"]) if claims else None


def create_mail_token(
    purpose: Purpose, user: User, settings: AuthSettings, *, email: str | None = None
) -> str:
    """Sign a token for a link in a mail.

    It is good for one use: what it brings about changes the fingerprint of the account.

    Args:
        purpose: What it is for.
        user: Whose account it is about.
        settings: Key and lifetime are taken from it.
        email: Where it is sent; by default the user's address.
    """
    lifetime = timedelta(minutes=settings.mail_token_minutes)
    fingerprint = fingerprint_of(user, settings)
    return _sign(purpose, user, settings, lifetime, email=email or user.email, fpr=fingerprint)


def read_mail_token(purpose: Purpose, token: str, settings: AuthSettings) -> MailToken | None:
    """Read a token from a mail; None, if it is not valid or for something else.

    The caller compares the fingerprint with the account's.
    """
    claims = _read(purpose, token, settings, "email", "fpr")
    return MailToken(claims["sub"], claims["email"], claims["fpr"]) if claims else None


def fingerprint_of(user: User, settings: AuthSettings) -> str:
    """Sum up what a token from a mail must not outlive: the password, the address, its state."""
    state = f"{user.password_hash}\n{user.email}\n{user.email_verified_at}\n{user.token_version}"
    key = settings.secret_key.get_secret_value()
    return hmac.new(key.encode(), state.encode(), hashlib.sha256).hexdigest()


def _sign(
    purpose: Purpose, user: User, settings: AuthSettings, lifetime: timedelta, **claims: Any
) -> str:
    now = datetime.now(UTC)
    claims |= {
        "iss": SLUG,
        "aud": purpose.audience,
        "sub": str(user.id),
        "iat": now,
        "exp": now + lifetime,
        "jti": uuid4().hex,
    }
    return jwt.encode(claims, settings.secret_key.get_secret_value(), algorithm=ALGORITHM)


def _read(
    purpose: Purpose, token: str, settings: AuthSettings, *required: str
) -> dict[str, Any] | None:
    try:
        claims = jwt.decode(
            token,
            settings.secret_key.get_secret_value(),
            algorithms=[ALGORITHM],
            issuer=SLUG,
            audience=purpose.audience,
            options={"require": ["exp", "iat", "sub", "jti", *required]},
        )
        claims["sub"] = UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        return None
    return claims
