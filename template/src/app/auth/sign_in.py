"""Sign in with a password."""

from typing import NamedTuple

from sqlalchemy import select

from app.auth import models
from app.auth.emails import normalize_email
from app.auth.events import Event
from app.auth.exceptions import EmailNotVerified, InvalidCredentials
from app.auth.passwords import verify_password
from app.auth.service import UserService


class Account(NamedTuple):
    """The account of a sign-in."""

    user: models.User | None
    limited_as: str


async def find_account(users: UserService, email: str) -> Account:
    """Return the account for a sign-in, and the name under which the attempts are counted.

    Args:
        users: The users.
        email: Address, as it was entered.
    """
    try:
        address = normalize_email(email)
    except ValueError:  # no account has this address
        address = ""
    events = select(models.SecurityEvent.id).where(
        models.SecurityEvent.user_id == models.User.id,
        models.SecurityEvent.kind == Event.SIGNED_IN,
        models.SecurityEvent.network == users.log.client.network,
    )
    statement = select(models.User, events.exists()).where(models.User.email == address)
    row = (await users.session.execute(statement)).one_or_none()
    # No connection is occupied while the attempt is counted and the password is hashed.
    await users.session.commit()
    user, known = row or (None, False)
    # `known` and `other` separate the counters: a client may send any text as an email address.
    name = f"known {address} {users.log.client.network}" if known else f"other {address or email}"
    return Account(user, name)


async def sign_in(users: UserService, user: models.User | None, password: str) -> models.Session:
    """Sign in with a password.

    The error and its timing are the same whether or not the account exists.

    Args:
        users: The users.
        user: The account with the given address, if any.
        password: The given password.

    Raises:
        InvalidCredentials: The password is wrong, or the user is inactive or does not exist.
        EmailNotVerified: The credentials are valid, but the address is not verified.
    """
    ok, new_hash = await verify_password(password, user.password_hash if user else None)
    if user is None or not ok:
        await users.log.record_failure(user.id if user else None)
        raise InvalidCredentials
    verified = user.password_hash
    locked = await users.lock(user.id)
    if locked is not None and locked.password_hash != verified:
        # Another request has changed the password, or only the parameters of its hash.
        await users.session.commit()
        ok, new_hash = await verify_password(password, locked.password_hash)
        verified = locked.password_hash
        locked = await users.lock(user.id) if ok else None
    if locked is None or not locked.is_active or locked.password_hash != verified:
        raise InvalidCredentials
    if users.settings.auth.require_verified_email and not locked.email_verified:
        raise EmailNotVerified
    if new_hash:
        locked.password_hash = new_hash
    await users.log.record(Event.SIGNED_IN, locked.id)
    return await users.sessions.create(locked)
