"""What the commands share: where the project is, how to speak, how to give up."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from app.config import Settings

# In a checkout. In an image the package lies elsewhere, and this is no project.
ROOT = Path(__file__).parents[3]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def fail(message: str) -> NoReturn:
    """Say what is wrong and what to do, and end the command with exit code 1."""
    errors.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def run(*command: str) -> int:
    """Run one of the environment's own tools and give its exit code."""
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode


def load_settings() -> "Settings":
    """Read the settings, or say what is wrong with them and end the command."""
    from app.config import Settings  # noqa: PLC0415
    from app.kit.settings import SettingsError  # noqa: PLC0415

    try:
        return Settings.load()
    except SettingsError as error:
        fail(str(error))
