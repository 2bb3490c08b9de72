"""Messages about migrations."""

from collections.abc import Sequence
from pathlib import Path

from app.cli.console import console
from fastship_tooling.project import command_line

NOT_APPLIED = "created, but not applied"


def report(event: str, path: Path, style: str = "green") -> None:
    """Print what happened to a migration.

    Args:
        event: What happened.
        path: Its file.
        style: Color.
    """
    relative = path.relative_to(Path.cwd()) if path.is_absolute() else path
    console.print(f"Migration {event}: {relative.as_posix()}", style=style, soft_wrap=True)


def remind(event: str, path: Path, changes: Sequence[str]) -> None:
    """Print why a migration is not applied, and what to do.

    Args:
        event: What happened.
        path: Its file.
        changes: Phrases such as `drops items.title`.
    """
    report(event, path, style="yellow")
    for change in changes:
        console.print(f"  It {change}.", style="yellow", markup=False, soft_wrap=True)
    console.print(
        f"Review it, edit it if necessary, then apply it: {command_line('db upgrade')}",
        style="yellow",
        soft_wrap=True,
    )
