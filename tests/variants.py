"""The twelve variants, and the words by which a switched-off feature would be noticed."""

import os
from dataclasses import dataclass
from itertools import product

FEATURES = ("database", "redis", "auth", "docs")


@dataclass(frozen=True)
class Variant:
    """One combination of the features, as a user may answer."""

    database: bool
    redis: bool
    auth: bool
    docs: bool

    def __str__(self) -> str:
        return "-".join(name for name in FEATURES if getattr(self, name)) or "bare"

    @property
    def answers(self) -> dict[str, bool]:
        """What to answer; auth is not asked without a database."""
        return {f: getattr(self, f) for f in FEATURES if f != "auth" or self.database}

    @property
    def off(self) -> list[str]:
        """The features that it does without."""
        return [name for name in FEATURES if not getattr(self, name)]


VARIANTS = [
    variant
    for variant in (Variant(*switches) for switches in product((True, False), repeat=4))
    if variant.database or not variant.auth  # accounts need a database
    if os.environ.get("VARIANT") in {None, str(variant)}  # one of them, on a machine of its own
]
FULL = Variant(True, True, True, True)
BARE = Variant(False, False, False, False)
MIXED = Variant(True, False, False, True)

# Regular expressions over the rendered text, case ignored. Each must be found where the feature is
# on, or the list would prove nothing.
WORDS = {
    "database": [
        "sqlalchemy", "alembic", "asyncpg", "postgres", "database", "migration", r"\bdb\b",
        "session_?(?:factory|dep)", "asyncsession", "rolled back",
    ],
    "redis": ["redis", "cashews", "valkey", r"\bcached\b"],
    "auth": [
        "(?<!registry-)auth(?!or)", "jwt", "argon", "pwdlib", r"\btokens?\b", "secret_key", "sign(?:ed)? in",
        r"(?<!-)\bowner\b", r"current_?user", "bearer",
    ],
    "docs": ["mkdocs", r"documentation site", r"docs/(?!asset)", "docs serve"],
}  # fmt: skip
