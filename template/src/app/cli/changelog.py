"""`changelog`: what has changed, from the messages of the commits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, fail

FILE = Path("CHANGELOG.md")


def changelog(
    latest: Annotated[
        bool, typer.Option("--latest", help="Only the newest release, for its notes.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help=f"Into {FILE}.")] = False,
) -> None:
    """Show what has changed, release by release, from messages such as `feat: add invoices`.

    Example: changelog --write
    """
    text = render(*(["--latest", "--strip", "all"] if latest else []))
    if not text:
        fail("There is nothing to tell: this is not under git, or nothing is committed yet.")
    if write:
        FILE.write_text(text, "utf-8", newline="\n")
        console.print(f"Wrote {FILE}.")
    else:
        console.out(text, end="", highlight=False)


def render(*options: str) -> str:
    """Write the changelog as Markdown; nothing where there is no history at hand, as in an image.

    Args:
        options: Of git-cliff, which is told the rest by pyproject.toml.
    """
    # Beside this Python, where the environment is not on the path.
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("git-cliff", path=places)
    if program is None:
        return ""
    command = [program, "--config", "pyproject.toml", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    text = done.stdout.strip()
    return f"{text}\n" if done.returncode == 0 and text else ""
