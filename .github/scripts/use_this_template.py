# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.18,<10"]
# ///
"""Replace the files of the template by the rendered project, and commit it.

The token of a workflow may delete files in .github/workflows, but not add or change them. So this folder contains the
workflows of the project too, unchanged. Those that are rendered are kept, and the others are deleted.
"""

import os
import re
import subprocess
from pathlib import Path

from copier import run_copy

WORKFLOWS = ".github/workflows/"
BOT = "github-actions[bot]"
BOT_EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def answers() -> dict[str, str]:
    """Return the answers that the repository provides. An invalid one is left out, and the default applies."""
    name, owner = os.environ["REPOSITORY_NAME"], os.environ["REPOSITORY_OWNER"]
    description = os.environ.get("REPOSITORY_DESCRIPTION", "")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug[:1].isalpha():
        slug = f"app-{slug}".strip("-")
    found = {
        "project_name": re.sub(r"[-_.]+", " ", name).strip().title() or slug,
        "project_slug": slug[:50].strip("-"),
        "author_name": owner,
        "github_owner": owner,
    }
    if description and len(description) <= 200 and not re.search(r'["\\\n\r]', description):
        found["project_description"] = description
    return found


def main() -> None:
    if git("rev-list", "--count", "HEAD").strip() != "1" or not Path("copier.yml").exists():
        print("This is not a new copy of the template: nothing to do.")
        return
    # The answers file contains this source, and later updates come from it.
    source = os.environ["TEMPLATE"]
    kept = set(git("ls-files", WORKFLOWS).split())
    git("rm", "-rq", ".")
    found = answers()
    try:
        run_copy(source, ".", data=found, defaults=True, overwrite=True, quiet=True)
    except ValueError:  # the name of the repository is reserved
        found["project_slug"] += "-api"
        run_copy(source, ".", data=found, defaults=True, overwrite=True, quiet=True)
    rendered = {path.as_posix() for path in Path(WORKFLOWS).glob("*") if path.is_file()}
    for path in rendered & kept:
        git("checkout", "-q", "HEAD", "--", path)
    for path in rendered - kept:
        Path(path).unlink()
        command = "uvx copier recopy --defaults --overwrite --vcs-ref :current:"
        print(f"::warning::{path} is newer than this copy. Before you edit files, run: {command}")
    git("add", "-A")
    identity = ["-c", f"user.name={BOT}", "-c", f"user.email={BOT_EMAIL}"]
    git(*identity, "commit", "-qm", f"Render the project from {source}")


if __name__ == "__main__":
    main()
