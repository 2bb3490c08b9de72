"""The twelve variants, and the words that belong to each feature."""

import os
from dataclasses import dataclass
from itertools import product

FEATURES = ("database", "redis", "auth", "docs")


@dataclass(frozen=True)
class Variant:
    """A combination of the features."""

    database: bool
    redis: bool
    auth: bool
    docs: bool

    def __str__(self) -> str:
        return "-".join(name for name in FEATURES if getattr(self, name)) or "bare"

    @property
    def answers(self) -> dict[str, bool]:
        """Answers to the questions. The question auth requires a database."""
        return {f: getattr(self, f) for f in FEATURES if f != "auth" or self.database}

    @property
    def off(self) -> list[str]:
        """Features that are switched off."""
        return [name for name in FEATURES if not getattr(self, name)]


VARIANTS = [
    variant
    for variant in (Variant(*switches) for switches in product((True, False), repeat=4))
    if variant.database or not variant.auth  # accounts require a database
    if os.environ.get("VARIANT") in {None, str(variant)}  # one variant per CI job
]
FULL = Variant(True, True, True, True)
BARE = Variant(False, False, False, False)
MIXED = Variant(True, False, False, True)

# Regular expressions, case-insensitive. A test checks that each occurs where the feature is on.
WORDS = {
    "database": [
        "sqlalchemy", "alembic", "asyncpg", "postgres", "database", "migration", r"\bdb\b",
        "session_?(?:factory|dep)", "asyncsession", "rolled back", "pgqueuer", r"\bjobs?\b",
    ],
    "redis": ["redis", "valkey", "cachedep"],
    "auth": [
        "(?<!registry-)auth(?!or)", "jwt", "argon", "pwdlib", r"\btokens?\b", "secret_key", "sign(?:ed)? in",
        r"(?<!-)\bowner\b", r"current_?user", "bearer",
    ],
    "docs": ["mkdocs", r"documentation site", r"(?<!\.org/)docs/(?!asset)", "docs serve"],
}  # fmt: skip
