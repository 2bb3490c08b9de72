"""`changelog`: release notes from the commit messages."""

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
        bool, typer.Option("--latest", help="Only the latest release, for its notes.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help=f"Write {FILE}.")] = False,
) -> None:
    """Show the changes of each release, from commit messages such as `feat: add invoices`.

    Example: changelog --write
    """
    text = render(*(["--latest", "--strip", "all"] if latest else []))
    if not text:
        fail("There are no commits yet. Run: git init -b main && git add --all && git commit")
    if write:
        FILE.write_text(text, "utf-8", newline="\n")
        console.print(f"Wrote {FILE}.")
    else:
        console.out(text, end="", highlight=False)


def render(*options: str) -> str:
    """Return the changelog as Markdown; empty without a git history, as in an image.

    Args:
        options: Options of git-cliff. pyproject.toml has its configuration.
    """
    # The scripts of this environment, which may not be on the PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("git-cliff", path=path)
    if program is None:
        return ""
    command = [program, "--config", "pyproject.toml", *options]
    done = subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", errors="replace"
    )
    text = done.stdout.strip()
    return f"{text}\n" if done.returncode == 0 and text else ""
