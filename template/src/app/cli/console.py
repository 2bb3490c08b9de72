"""Output and errors of the commands."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.table import Table

    from app.config import Settings

# The root of a checkout. In an image, the package is installed elsewhere.
ROOT = Path(__file__).parents[3]

# Output for a program is not cut to the width of a screen.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
errors = Console(stderr=True, highlight=False)


class CLIError(Exception):
    """An error that the user can fix. The message says what happened and what to do."""


class CommandGroup(TyperGroup):
    """A group of commands that prints a `CLIError` without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except CLIError as error:
            fail(str(error))


def fail(message: str) -> NoReturn:
    """Print an error and exit with code 1."""
    errors.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def table(*columns: str) -> "Table":
    """Create a table: with lines in a terminal, otherwise aligned text for programs.

    Args:
        columns: Column headings.
    """
    from rich import box
    from rich.table import Table

    return Table(*columns, box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)


def load_settings() -> "Settings":
    """Load the settings.

    Raises:
        CLIError: The settings are invalid.
    """
    from app.config import SLUG, Settings
    from app.kit.settings import ENV_FILE, SettingsError

    try:
        return Settings.load()
    except SettingsError as error:
        hint = ""
        if not ENV_FILE.exists() and Path(".env.example").exists():
            hint = (
                "\nWithout a .env file, the rules of production apply. "
                f"In development, `uv run {SLUG} dev` creates it."
            )
        raise CLIError(f"{error}{hint}") from error
