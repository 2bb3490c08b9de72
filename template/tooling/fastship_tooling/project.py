"""The project that the tools work on: its folders, and its optional parts."""

import sys
from importlib.util import find_spec
from pathlib import Path

STATE = Path(".dev")
"""Folder for the local state of development. Git ignores it."""
CHANGES_LOCK = STATE / "changes.lock"
"""File that is locked while a command changes the code."""
DOCS_URL = STATE / "docs.txt"
"""File with the URL of the documentation, while `docs serve` runs."""
RUNNING = STATE / "dev.txt"
"""Process and URL of the running `dev`."""
NEW_GROUP = 0x200 if sys.platform == "win32" else 0
"""Option of Windows for a process that Ctrl-C does not end."""


def _exists(module: str) -> bool:
    spec = find_spec(module)
    # A folder that only contains caches is a namespace package, which has no origin.
    return spec is not None and spec.origin is not None


HAS_DATABASE = _exists("app.database")
HAS_REDIS = _exists("app.kit.redis")
HAS_AUTH = _exists("app.auth")
HAS_DOCS = (Path(__file__).parent / "docs/commands.py").exists()


def command_line(command: str) -> str:
    """Return what to type in a shell to run a command: `uv run my-app lock`.

    Args:
        command: Command without the program, such as `lock`.
    """
    from app.config import SLUG

    return f"uv run {SLUG} {command}"
