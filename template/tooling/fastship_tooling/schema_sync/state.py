"""The state of `schema_sync`: the migrations that were created on this machine."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from fastship_tooling.git import is_committed


@dataclass
class Created:
    """A migration that was created on this machine.

    Args:
        digest: Hash of the file as it was created, to detect manual edits.
        destructive: Changes that must be confirmed before it is applied.
        confirmed: Those that were confirmed. It may contain them when it is rewritten.
    """

    digest: str
    destructive: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)


class State(dict[str, Created]):
    """Migrations by revision ID, stored in a file.

    Args:
        file: Path of the file. A missing or damaged file means that there are no migrations.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        with suppress(FileNotFoundError, ValueError, TypeError, AttributeError):
            content = json.loads(file.read_text())
            self.update({revision: Created(**known) for revision, known in content.items()})

    def save(self) -> None:
        """Write the file, completely or not at all."""
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({name: asdict(known) for name, known in self.items()}, indent=2))
        new.replace(self.file)

    def unconfirmed(self, revision: str | None) -> list[str]:
        """Return the changes of a migration that must be confirmed."""
        known = self.get(revision or "")
        return known.destructive if known else []

    def confirm(self, revisions: Iterable[str]) -> None:
        """Remember that migrations were applied, so the user has confirmed them.

        Args:
            revisions: The applied migrations.
        """
        waiting = [known for known in map(self.get, revisions) if known and known.destructive]
        for known in waiting:
            known.confirmed += known.destructive
            known.destructive = []
        if waiting:
            self.save()

    def is_rewritable(self, revision: str, path: Path) -> bool:
        """Return whether a migration was created here, and neither edited nor committed.

        Args:
            revision: Its revision ID.
            path: Its file.
        """
        known = self.get(revision)
        return bool(known and known.digest == digest(path.read_bytes()) and not is_committed(path))


def digest(content: bytes) -> str:
    """Return a hash of the content of a file."""
    return sha256(content).hexdigest()
