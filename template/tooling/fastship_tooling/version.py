"""The version of the code, from git."""

import subprocess
import sys


def current_version() -> str:
    """Return the version that a build of the current commit would have.

    The installed version can be that of an older commit.
    """
    from app.cli.console import ROOT
    from app.config import VERSION

    command = [sys.executable, "-m", "hatchling", "metadata", "version"]
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, encoding="utf-8", errors="replace"
    )
    return VERSION if done.returncode else done.stdout.strip()
