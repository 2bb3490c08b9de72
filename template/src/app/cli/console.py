"""What the commands share: where the project is, how to speak, how to give up."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.table import Table

    from app.config import Settings

# In a checkout. In an image the package lies elsewhere, and this is no project.
ROOT = Path(__file__).parents[3]

# What is read by a program is not cut to the width of a screen.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
errors = Console(stderr=True, highlight=False)


class PlainError(Exception):
    """Something that a person can put right; the message says what and how."""


class Commands(TyperGroup):
    """Commands that end in words where a person can put something right."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PlainError as error:
            fail(str(error))


def fail(message: str) -> NoReturn:
    """Say what is wrong and what to do, and end the command with exit code 1."""
    errors.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def table(*columns: str) -> "Table":
    """Make a table: with lines for people, aligned words alone for programs.

    Args:
        columns: What stands above them.
    """
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    return Table(*columns, box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)


def run(*command: str) -> int:
    """Run one of the environment's own tools and give its exit code."""
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode


def load_settings() -> "Settings":
    """Read the settings.

    Raises:
        PlainError: They are not usable; says every fault.
    """
    from app.config import Settings  # noqa: PLC0415
    from app.kit.settings import SettingsError  # noqa: PLC0415

    try:
        return Settings.load()
    except SettingsError as error:
        raise PlainError(str(error)) from error


def settings_of(environment: Mapping[str, str], secrets: Path | None = None) -> "Settings":
    """Read the settings that another process would have: nothing of this one's, and no `.env`.

    Args:
        environment: Its variables.
        secrets: Its folder of files that hold a value each.

    Raises:
        SettingsError: They are not usable.
    """
    from app.config import Settings  # noqa: PLC0415

    kept = os.environ.copy()
    for group in Settings.groups().values():
        for variable in group.variables().values():
            os.environ.pop(variable, None)
    os.environ.update(environment)
    try:
        return Settings.load(env_file=None, secrets=secrets or Path(os.devnull))
    finally:
        os.environ.clear()
        os.environ.update(kept)
