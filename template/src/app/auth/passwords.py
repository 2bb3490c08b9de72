"""Argon2id, off the event loop: a hash takes tens of milliseconds of one core."""

import os
from functools import lru_cache

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

# One core is left to the event loop: measured, with more at once all other requests wait.
MAX_AT_ONCE = max(1, (os.cpu_count() or 1) - 1)


def make_hasher(*, memory_kib: int = 19 * 1024, iterations: int = 2) -> PasswordHash:
    """Make a hasher.

    The defaults are OWASP's. pwdlib's own take 64 MiB a login, which invites to exhaust the memory.

    Args:
        memory_kib: Memory that a hash takes.
        iterations: Passes over it.
    """
    return PasswordHash((Argon2Hasher(iterations, memory_kib, parallelism=1),))


hasher = make_hasher()


@lru_cache
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(MAX_AT_ONCE)


@lru_cache
def _hash_of_nothing() -> str:
    return hasher.hash("no account has this password")


async def hash_password(password: str) -> str:
    """Hash a password for storage."""
    return await to_thread.run_sync(hasher.hash, password, limiter=_limiter())


async def verify_password(password: str, password_hash: str | None) -> tuple[bool, str | None]:
    """Compare a password with a stored hash.

    Args:
        password: What was given.
        password_hash: What is stored; None where there is no account, which takes the same time.

    Returns:
        Whether they match, and a new hash to store when the parameters have changed since.
    """

    def verify() -> tuple[bool, str | None]:
        ok, fresh = hasher.verify_and_update(password, password_hash or _hash_of_nothing())
        return (ok, fresh) if password_hash else (False, None)

    return await to_thread.run_sync(verify, limiter=_limiter())
