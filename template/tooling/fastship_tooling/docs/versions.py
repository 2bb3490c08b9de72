"""Versions of the site, next to each other on the branch `gh-pages`.

A commit adds the folder of a version, `versions.json` for the selector of the theme, and `latest`, a link to
the newest version. Only git objects are written: no files are checked out, and no local branch changes.
"""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from app.cli.console import CLIError
from fastship_tooling import git

BRANCH = "gh-pages"
LATEST = "latest"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the same in every git repository
NO_BRANCH = 2  # exit code of ls-remote
REDIRECT = f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Documentation</title>
<meta http-equiv="refresh" content="0; url={LATEST}/">
<a href="{LATEST}/">Documentation</a>
</html>
"""
# GitHub Pages serves this for every version. The site of a project is below a folder.
NOT_FOUND = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Page not found</title>
<body style="font: 1.1rem system-ui; max-width: 40rem; margin: 15vh auto; padding: 0 1rem">
<h1>Page not found</h1>
<p>This page does not exist. It may have moved, or it belongs to another version.</p>
<p><a id="home" href="/">Read the latest version.</a></p>
<script>
const folder = location.hostname.endsWith(".github.io") ? `${location.pathname.split("/")[1]}/` : "";
document.getElementById("home").href = `/${folder}`;
</script>
</html>
"""


def fetch(remote: str) -> str:
    """Return the commit of the published site; empty if nothing was published yet.

    Args:
        remote: Git remote.

    Raises:
        CLIError: The remote cannot be read.
    """
    found = git.run("ls-remote", "--exit-code", "--heads", remote, BRANCH)
    if found.returncode == NO_BRANCH:
        return ""
    if found.returncode:
        # Git also accepts a URL.
        if "/" not in remote and remote not in git.run("remote").stdout.split():
            raise CLIError(f"There is no remote {remote}. Add it: git remote add {remote} URL")
        reason = found.stderr.strip()
        raise CLIError(f"Cannot read the remote {remote}: {reason} Show it: git remote --verbose")
    _git("fetch", "--quiet", remote, BRANCH)
    return _git("rev-parse", "FETCH_HEAD")


def commit(site: Path, version: str, parent: str) -> str:
    """Create a commit that adds a version, or replaces it.

    Args:
        site: Folder of the built site.
        version: Name of the version, such as 1.2.
        parent: Commit of the published site; empty if nothing was published yet.

    Returns:
        The commit.
    """
    listed = _git("ls-tree", parent).splitlines() if parent else []
    entries = {line.partition("\t")[2]: line for line in listed}
    published = json.loads(_git("show", f"{parent}:versions.json")) if parent else []
    names = sorted({version, *(entry["version"] for entry in published)}, key=_order, reverse=True)
    versions = [
        {"version": name, "title": name, "aliases": [LATEST] * (name == names[0])} for name in names
    ]
    new = {
        version: f"040000 tree {_tree(site)}",
        LATEST: f"120000 blob {_blob(names[0])}",
        "versions.json": f"100644 blob {_blob(json.dumps(versions))}",
        "index.html": f"100644 blob {_blob(REDIRECT)}",
        "404.html": f"100644 blob {_blob(NOT_FOUND)}",
        ".nojekyll": f"100644 blob {_blob('')}",
    }
    entries |= {name: f"{entry}\t{name}" for name, entry in new.items()}
    tree = _git("mktree", text="\n".join(entries.values()) + "\n")
    options = ["-p", parent] if parent else []
    return _git("commit-tree", tree, *options, "-m", f"Publish the documentation of {version}")


def changes(parent: str, new: str) -> str:
    """Return the files that a commit changes, for people.

    Args:
        parent: Commit of the published site; empty if nothing was published yet.
        new: The commit.
    """
    return _git("diff", "--stat", parent or EMPTY_TREE, new)


def push(new: str, remote: str) -> None:
    """Publish a commit.

    Args:
        new: The commit.
        remote: Git remote.
    """
    _git("push", "--quiet", remote, f"{new}:refs/heads/{BRANCH}")


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _tree(site: Path) -> str:
    """Store a folder in git, and return its tree."""
    with TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        options = ["-C", str(site), "-c", "core.autocrlf=false", "--work-tree=."]
        _git(*options, "add", "--force", "--all", ".", **index)
        return _git(*options, "write-tree", **index)


def _blob(text: str) -> str:
    return _git("hash-object", "-w", "--stdin", text=text)


def _git(*arguments: str, text: str = "", **variables: str) -> str:
    done = git.run(*arguments, text=text, **variables)
    if done.returncode:
        raise CLIError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
