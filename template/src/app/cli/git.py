"""What git knows."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path


def is_committed(path: Path) -> bool:
    """Tell whether git has a file or folder in its history.

    Where there is no repository, nothing is committed. Where there is no git, as in a container,
    nobody can tell: then everything counts as committed, so that nothing of it is rewritten.
    """
    shown = Path(os.path.relpath(path)).as_posix()
    with suppress(FileNotFoundError):
        done = subprocess.run(
            ["git", "cat-file", "-e", f"HEAD:./{shown}"],
            check=False,
            capture_output=True,
        )
        return done.returncode == 0
    return True
