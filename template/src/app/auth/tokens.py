"""JSON Web Tokens (RFC 7519), signed with one fixed algorithm.

The audience is the purpose of the token, so that it is not accepted for another one.
"""

import hashlib
import hmac
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from time import time
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import jwt
from pydantic import SecretStr

from app.auth import models
from app.auth.constants import ALGORITHM, CACHED_TOKENS, LEEWAY_SECONDS
from app.config import SLUG, AuthSettings


class Purpose(StrEnum):
    """The purpose of a token."""

    ACCESS = "access"
    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105

    @property
    def audience(self) -> str:
        """The `aud` claim."""
        return f"{SLUG}:{self}"


class MailToken(NamedTuple):
    """The claims of a token in an email."""

    user_id: UUID
    email: str
    fingerprint: str


def create_access_token(session: models.Session, settings: AuthSettings) -> str:
    """Return an access token of a session."""
    lifetime = timedelta(minutes=settings.access_token_minutes)
    return _sign(Purpose.ACCESS, session.user_id, settings, lifetime, sid=str(session.id))


def read_access_token(token: str, settings: AuthSettings) -> UUID | None:
    """Return the ID of the session of an access token, or None if the token is invalid.

    The caller must check that the session exists.
    """
    with suppress(ValueError):
        session_id, expires_at = _verify_access_token(token, settings.secret_key)
        return session_id if time() < expires_at + LEEWAY_SECONDS else None
    return None


# A client sends the same token with each request. Only valid tokens are cached.
@lru_cache(maxsize=CACHED_TOKENS)
def _verify_access_token(token: str, key: SecretStr) -> tuple[UUID, int]:
    """Return the ID of the session of an access token, and when the token expires.

    Raises:
        ValueError: The token is invalid.
    """
    claims = _verify(Purpose.ACCESS, token, key, "sid")
    if claims is None:
        raise ValueError
    return UUID(claims["sid"]), claims["exp"]


def create_mail_token(
    purpose: Purpose, user: models.User, settings: AuthSettings, *, email: str | None = None
) -> str:
    """Return a single-use token for a link in an email.

    Using the token changes the fingerprint of the account, which makes it invalid.

    Args:
        purpose: Purpose of the token.
        user: The account.
        settings: Key and lifetime.
        email: Recipient; by default the address of the account.
    """
    lifetime = timedelta(minutes=settings.mail_token_minutes)
    fpr = fingerprint(user, settings)
    return _sign(purpose, user.id, settings, lifetime, email=email or user.email, fpr=fpr)


def read_mail_token(purpose: Purpose, token: str, settings: AuthSettings) -> MailToken | None:
    """Return the claims of a token from an email, or None if it is invalid for this purpose.

    The caller must compare the fingerprint with that of the account.
    """
    claims = _verify(purpose, token, settings.secret_key, "email", "fpr")
    return MailToken(claims["sub"], claims["email"], claims["fpr"]) if claims else None


def fingerprint(user: models.User, settings: AuthSettings) -> str:
    """Return a hash of everything whose change invalidates the tokens in emails."""
    state = f"{user.password_hash}\n{user.email}\n{user.email_verified_at}"
    key = settings.secret_key.get_secret_value()
    return hmac.new(key.encode(), state.encode(), hashlib.sha256).hexdigest()


def _sign(
    purpose: Purpose, user_id: UUID, settings: AuthSettings, lifetime: timedelta, **claims: Any
) -> str:
    now = datetime.now(UTC)
    claims |= {
        "iss": SLUG,
        "aud": purpose.audience,
        "sub": str(user_id),
        "iat": now,
        "exp": now + lifetime,
        "jti": uuid4().hex,
    }
    return jwt.encode(claims, settings.secret_key.get_secret_value(), algorithm=ALGORITHM)


def _verify(purpose: Purpose, token: str, key: SecretStr, *required: str) -> dict[str, Any] | None:
    with suppress(jwt.InvalidTokenError, ValueError):
        claims = jwt.decode(
            token,
            key.get_secret_value(),
            algorithms=[ALGORITHM],
            issuer=SLUG,
            audience=purpose.audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "sub", "jti", *required]},
        )
        return claims | {"sub": UUID(claims["sub"])}
    return None
