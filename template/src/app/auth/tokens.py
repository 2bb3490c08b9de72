"""Access tokens and the tokens in emails.

Access tokens are JSON Web Tokens (RFC 7519), signed with one fixed algorithm.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from time import time
from typing import NamedTuple, Self
from uuid import UUID, uuid4

import jwt
from pydantic import SecretStr

from app.auth import models
from app.auth.constants import ALGORITHM, CACHED_TOKENS, LEEWAY_SECONDS
from app.auth.exceptions import InvalidMailToken
from app.config import SLUG, AuthSettings

AUDIENCE = f"{SLUG}:access"
# 128 bits cannot be guessed.
SIGNATURE_BYTES, ID_BYTES, TIME_BYTES = 16, 16, 4


class Purpose(StrEnum):
    """The purpose of a token in an email, and the path of its link."""

    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105


class MailToken(NamedTuple):
    """A single-use token in an email: 48 characters, and more if it contains a new address.

    Nothing is stored. The token is signed together with the state of the account, which its use changes.
    """

    signature: bytes
    content: bytes

    @classmethod
    def create(
        cls, purpose: Purpose, user: models.User, settings: AuthSettings, *, email: str = ""
    ) -> Self:
        """Create a token.

        Args:
            purpose: Purpose of the token.
            user: The account.
            settings: Key and lifetime.
            email: New address, if the token changes the address of the account.
        """
        expires_at = int(time()) + settings.mail_token_minutes * 60
        content = user.id.bytes + expires_at.to_bytes(TIME_BYTES) + email.encode()
        return cls(_sign(purpose, content, user, settings), content)

    @classmethod
    def decode(cls, token: str) -> Self:
        """Split a token. The signature is not verified.

        Raises:
            InvalidMailToken: It is not a token of an email.
        """
        try:
            parts = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            parts[SIGNATURE_BYTES + ID_BYTES + TIME_BYTES :].decode()
        except ValueError as error:
            raise InvalidMailToken from error
        if len(parts) < SIGNATURE_BYTES + ID_BYTES + TIME_BYTES:
            raise InvalidMailToken
        return cls(parts[:SIGNATURE_BYTES], parts[SIGNATURE_BYTES:])

    def encode(self) -> str:
        """Return the token as the link contains it."""
        return urlsafe_b64encode(self.signature + self.content).decode().rstrip("=")

    @property
    def user_id(self) -> UUID:
        """ID of the account."""
        return UUID(bytes=self.content[:ID_BYTES])

    @property
    def email(self) -> str:
        """New address, or an empty string."""
        return self.content[ID_BYTES + TIME_BYTES :].decode()

    def is_valid(self, purpose: Purpose, user: models.User, settings: AuthSettings) -> bool:
        """Return whether the token has this purpose, has not expired and was not used."""
        expires_at = int.from_bytes(self.content[ID_BYTES : ID_BYTES + TIME_BYTES])
        expected = _sign(purpose, self.content, user, settings)
        return hmac.compare_digest(self.signature, expected) and time() < expires_at


def create_access_token(session: models.Session, settings: AuthSettings) -> str:
    """Return an access token of a session."""
    now = datetime.now(UTC)
    claims = {
        "iss": SLUG,
        "aud": AUDIENCE,
        "sub": str(session.user_id),
        "sid": str(session.id),
        "iat": now,
        "exp": now + timedelta(minutes=settings.access_token_minutes),
        "jti": uuid4().hex,
    }
    return jwt.encode(claims, settings.secret_key.get_secret_value(), algorithm=ALGORITHM)


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
    try:
        claims = jwt.decode(
            token,
            key.get_secret_value(),
            algorithms=[ALGORITHM],
            issuer=SLUG,
            audience=AUDIENCE,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "sub", "jti", "sid"]},
        )
    except jwt.InvalidTokenError as error:
        raise ValueError from error
    return UUID(claims["sid"]), claims["exp"]


def fingerprint(user: models.User, settings: AuthSettings) -> str:
    """Return a hash of everything whose change invalidates the tokens in emails."""
    state = f"{user.password_hash}\n{user.email}\n{user.email_verified_at}"
    key = settings.secret_key.get_secret_value()
    return hmac.new(key.encode(), state.encode(), hashlib.sha256).hexdigest()


def _sign(purpose: Purpose, content: bytes, user: models.User, settings: AuthSettings) -> bytes:
    message = b"\n".join((purpose.encode(), fingerprint(user, settings).encode(), content))
    key = settings.secret_key.get_secret_value().encode()
    return hmac.new(key, message, hashlib.sha256).digest()[:SIGNATURE_BYTES]
