"""Passwords: rules for new ones, and Argon2id hashes that are computed outside of the event loop."""

import os
import re
from functools import cache, lru_cache
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from fastapi.exceptions import RequestValidationError
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.kit.problems import ServiceUnavailable, field_error

# A hash takes tens of milliseconds of one core. One core is left to the event loop.
MAX_CONCURRENT = max(1, (os.cpu_count() or 1) - 1)
# More would wait for longer than a second.
MAX_WAITING = 40 * MAX_CONCURRENT
MIN_DIFFERENT_CHARACTERS = 4


def create_hasher(*, memory_kib: int = 19 * 1024, iterations: int = 2) -> PasswordHash:
    """Create a hasher.

    The defaults are OWASP's. Those of pwdlib need 64 MiB for each sign-in, which makes it easy to
    exhaust the memory (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).

    Args:
        memory_kib: Memory per hash, in KiB.
        iterations: Passes over the memory.
    """
    return PasswordHash((Argon2Hasher(iterations, memory_kib, parallelism=1),))


hasher = create_hasher()


@lru_cache
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(MAX_CONCURRENT)


@lru_cache
def _dummy_hash() -> str:
    return hasher.hash("no account has this password")


async def hash_password(password: str) -> str:
    """Return the hash of a password.

    End the transaction before: the caller waits, and must not occupy a connection meanwhile.

    Raises:
        ServiceUnavailable: Too many passwords wait to be hashed.
    """
    _require_capacity()
    return await to_thread.run_sync(hasher.hash, password, limiter=_limiter())


async def verify_password(password: str, password_hash: str | None) -> tuple[bool, str | None]:
    """Compare a password with a hash.

    End the transaction before: the caller waits, and must not occupy a connection meanwhile.

    Args:
        password: The password.
        password_hash: The stored hash; None if there is no account, which takes the same time.

    Returns:
        Whether they match, and a new hash if the parameters have changed since it was created.

    Raises:
        ServiceUnavailable: Too many passwords wait to be hashed.
    """

    def verify() -> tuple[bool, str | None]:
        ok, new_hash = hasher.verify_and_update(password, password_hash or _dummy_hash())
        return (ok, new_hash) if password_hash else (False, None)

    _require_capacity()
    return await to_thread.run_sync(verify, limiter=_limiter())


def _require_capacity() -> None:
    if _limiter().statistics().tasks_waiting >= MAX_WAITING:
        raise ServiceUnavailable(headers={"Retry-After": "2"})


@cache
def common_passwords() -> frozenset[str]:
    """Return the most common passwords, in lower case."""
    lines = Path(__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def require_strong(password: str, *known: str, field: str = "password") -> None:
    """Check that a password cannot be guessed easily.

    Args:
        password: New password.
        known: What everybody knows: the email address, and the name of the application.
        field: Field of the request body.

    Raises:
        RequestValidationError: It can.
    """
    text = password.casefold()
    # `Shop2026!` is the name of the shop.
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text)
    names = {
        re.sub(r"\W", "", part.casefold()) for name in known for part in (name, *name.split("@"))
    }
    if text in common_passwords() or len(set(text)) < MIN_DIFFERENT_CHARACTERS:
        message = "This password is too common. Choose another one."
    elif re.sub(r"\W", "", core) in names or text in {name.casefold() for name in known}:
        message = "This password resembles your email address or the name of this service."
    else:
        return
    raise RequestValidationError([field_error(field, "weak_password", message)])
