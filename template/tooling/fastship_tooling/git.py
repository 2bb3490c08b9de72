"""Questions to git."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from app.cli.console import CLIError

NOT_A_REPOSITORY = "not a git repository"
POLL_SECONDS = 0.05
CHECKOUT_POLLS = 200


def is_committed(path: Path) -> bool:
    """Return whether the current commit contains a file or folder.

    Without a repository, nothing is committed. Without git, as in a container, the answer is unknown:
    then everything counts as committed, so that nothing is rewritten.

    Raises:
        CLIError: Git does not answer, for example because another user owns the repository.
    """
    if shutil.which("git") is None:
        return True
    inside = run("rev-parse", "--is-inside-work-tree")
    if inside.returncode:
        if NOT_A_REPOSITORY in inside.stderr:
            return False
        raise CLIError(f"Git cannot read this repository: {inside.stderr.strip()}")
    if run("rev-parse", "--verify", "--quiet", "HEAD").returncode:
        return False  # there is no commit yet
    relative = Path(os.path.relpath(path)).as_posix()
    listed = run("ls-tree", "HEAD", "--", f"./{relative}")
    if listed.returncode:
        raise CLIError(f"Git cannot read the current commit: {listed.stderr.strip()}")
    return bool(listed.stdout)


def has_changes(*paths: Path) -> bool:
    """Return whether files or folders differ from the current commit, or there is none.

    Args:
        paths: Files or folders.
    """
    if shutil.which("git") is None or run("rev-parse", "--verify", "--quiet", "HEAD").returncode:
        return True
    changed = run("status", "--porcelain", "--", *(path.as_posix() for path in paths))
    return changed.returncode != 0 or bool(changed.stdout)


def wait_for_checkout() -> None:
    """Wait while git changes the working tree, so that a half-finished checkout is not read."""
    if shutil.which("git") is None or not (
        path := run("rev-parse", "--git-path", "index.lock").stdout
    ):
        return
    for _ in range(CHECKOUT_POLLS):  # a crashed git leaves the file behind
        if not Path(path.strip()).exists():
            return
        time.sleep(POLL_SECONDS)


def run(*arguments: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run git, with messages in English, and return the result also if it failed.

    Args:
        arguments: Arguments of git.
        text: Standard input.
        variables: Further environment variables.
    """
    # In text mode, Windows would change the ends of the lines.
    done = subprocess.run(
        ["git", *arguments], check=False, capture_output=True, input=text.encode(),
        env=os.environ | {"LC_ALL": "C"} | variables,
    )  # fmt: skip
    output, errors = (each.decode(errors="replace") for each in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, output, errors)
