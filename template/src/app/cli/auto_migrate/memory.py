"""What is remembered of the revisions that were written on this machine."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from app.cli.git import is_committed


@dataclass
class Written:
    """A revision that was written here.

    Args:
        digest: Of the file as it was written, to see whether somebody has edited it.
        waiting: What it would lose; empty when there was nothing to wait for.
    """

    digest: str
    waiting: list[str] = field(default_factory=list)


class Memory(dict[str, Written]):
    """Revisions by id, kept in a file.

    Args:
        file: Where. A missing or damaged one means that nothing was written here.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        with suppress(FileNotFoundError, ValueError, TypeError, AttributeError):
            content = json.loads(file.read_text())
            self.update({revision: Written(**known) for revision, known in content.items()})

    def save(self) -> None:
        """Write the file, whole or not at all."""
        half = self.file.with_suffix(".new")
        half.write_text(json.dumps({name: asdict(known) for name, known in self.items()}, indent=2))
        half.replace(self.file)

    def waits(self, revision: str | None) -> list[str]:
        """Say what a revision would lose, if it waits for the user."""
        known = self.get(revision or "")
        return known.waiting if known else []

    def is_ours(self, revision: str, path: Path) -> bool:
        """Tell whether a revision may be rewritten: by us, not edited, not in git.

        Args:
            revision: Its id.
            path: Its file.
        """
        known = self.get(revision)
        return bool(known and known.digest == digest(path.read_bytes()) and not is_committed(path))


def digest(content: bytes) -> str:
    """Tell one content of a file from another."""
    return sha256(content).hexdigest()
