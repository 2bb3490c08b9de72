"""Access tokens: JSON Web Tokens (RFC 7519), signed with one pinned algorithm."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt

from app.auth.constants import ALGORITHM
from app.config import SLUG, AuthSettings


def create_access_token(user_id: UUID, settings: AuthSettings) -> str:
    """Sign a token that shows its bearer to be the user."""
    now = datetime.now(UTC)
    claims = {
        "iss": SLUG,
        "aud": SLUG,
        "sub": str(user_id),
        "iat": now,
        "exp": now + timedelta(minutes=settings.access_token_minutes),
        "jti": uuid4().hex,
    }
    return jwt.encode(claims, settings.secret_key.get_secret_value(), algorithm=ALGORITHM)


def read_access_token(token: str, settings: AuthSettings) -> UUID | None:
    """Tell whom a token shows its bearer to be; None, if it is not valid."""
    try:
        claims = jwt.decode(
            token,
            settings.secret_key.get_secret_value(),
            algorithms=[ALGORITHM],
            issuer=SLUG,
            audience=SLUG,
            options={"require": ["exp", "iat", "sub", "jti"]},
        )
        return UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        return None
