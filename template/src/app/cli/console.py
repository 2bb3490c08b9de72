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

HELP_NAMES = ["-h", "--help"]
# Output for a program is not cut to the width of a screen.
# Without emoji: fields such as due:date would contain one.
console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 10_000)
errors = Console(stderr=True, highlight=False, emoji=False)


class CLIError(Exception):
    """An error that the user can fix. The message says what happened and what to do."""


class CommandGroup(TyperGroup):
    """A group of commands that prints a `CLIError` without a traceback."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for command in self.commands.values():
            hide_flag_types(command)

    def get_params(self, ctx: Any) -> Any:
        """Return the options. Typer adds those for completion after this group was created."""
        return without_flag_types(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except CLIError as error:
            fail(str(error))


def without_flag_types(options: Any) -> Any:
    """Remove `<bool>` from flags, and return all options."""
    for option in options:
        if getattr(option, "is_flag", False):
            option.metavar = ""
    return options


def hide_flag_types(command: Any) -> None:
    """Remove `<bool>` from the flags in the help of a command and of its subcommands."""
    without_flag_types(command.get_params(typer.Context(command, help_option_names=HELP_NAMES)))
    for subcommand in getattr(command, "commands", {}).values():
        hide_flag_types(subcommand)


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
        hint = "\nCorrect them in the environment, or in .env."
        if not ENV_FILE.exists() and Path(".env.example").exists():
            hint = (
                "\nWithout a .env file, the rules of production apply. "
                f"In development, `uv run {SLUG} dev` creates it."
            )
        raise CLIError(f"{error}{hint}") from error
