"""The commands of `docs`."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, fail
from fastship_tooling.ports import require_free_port

app = typer.Typer(help="Write and publish the documentation site.", no_args_is_help=True)

SITE = Path("site")
BRANCH = "gh-pages"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the same in every git repository
# mike cannot be run with `python -m`.
MIKE = ["-c", "from mike.driver import main; main()"]

# Material prints a notice about MkDocs 2 on every run. tooling/pyproject.toml pins MkDocs 1.
os.environ["NO_MKDOCS_2_WARNING"] = "1"


def run_python(*arguments: str) -> int:
    """Run Python with the dependency group `docs`, and return the exit code."""
    python = [sys.executable]
    if find_spec("mkdocs") is None:
        python = ["uv", "run", "--quiet", "--group", "docs", "python"]
    return subprocess.run([*python, *arguments], check=False).returncode


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8001,
) -> None:
    """Serve the site, and rebuild it when a page or the code changes.

    Example: docs serve --port 8001
    """
    require_free_port(host, port)
    raise typer.Exit(run_python("-m", "mkdocs", "serve", "--dev-addr", f"{host}:{port}"))


@app.command()
def build() -> None:
    """Build the site in `site/`. A broken link is an error.

    Example: docs build
    """
    raise typer.Exit(run_python("-m", "mkdocs", "build", "--strict"))


@app.command()
def deploy(
    version: Annotated[
        str | None, typer.Argument(help="Version; by default that of the code, such as 1.2.")
    ] = None,
    remote: Annotated[str, typer.Option(help="Git remote.")] = "origin",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build, and show what would be pushed.")
    ] = False,
) -> None:
    """Publish this version of the site on GitHub Pages, next to other versions.

    Example: docs deploy 1.2 --dry-run
    """
    from fastship_tooling.version import current_version

    name = version or ".".join(current_version().split(".")[:2])
    # Include the versions that others have published.
    subprocess.run(
        ["git", "fetch", "--quiet", remote, f"{BRANCH}:{BRANCH}"], check=False, capture_output=True
    )
    before = _revision()
    options = ["--update-aliases", "--branch", BRANCH, "--remote", remote]
    for command in (
        ["deploy", *options, name, "latest"],
        ["set-default", "--branch", BRANCH, "latest"],
    ):
        if code := run_python(*MIKE, *command):
            raise typer.Exit(code)
    changes = ["diff", "--stat", before or EMPTY_TREE, BRANCH]
    shown = subprocess.run(["git", *changes], check=False, capture_output=True, text=True)
    if dry_run:
        console.out(shown.stdout, highlight=False)
        undo = [
            "git",
            "update-ref",
            *([f"refs/heads/{BRANCH}", before] if before else ["-d", f"refs/heads/{BRANCH}"]),
        ]
        subprocess.run(undo, check=True)
        console.print(f"Dry run: {name} was not pushed to {remote}/{BRANCH}.")
        return
    pushed = subprocess.run(["git", "push", "--quiet", remote, BRANCH], check=False)
    if pushed.returncode:
        fail(
            f"{name} is in your local branch {BRANCH}, but the push to {remote} failed. "
            f"Try again: git push {remote} {BRANCH}"
        )
    console.print(f"Published {name} to {remote}/{BRANCH}.")


def _revision() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@app.command()
def export(
    pdf: Annotated[bool, typer.Option("--pdf", help="Write a PDF.")] = False,
    epub: Annotated[bool, typer.Option("--epub", help="Write an EPUB.")] = False,
) -> None:
    """Write all pages to one file: `dist/docs.pdf` and `dist/docs.epub`. By default both.

    Example: docs export --pdf
    """
    if code := run_python("-m", "mkdocs", "build", "--strict", "--quiet"):
        raise typer.Exit(code)
    kinds = [kind for kind, wanted in (("pdf", pdf), ("epub", epub)) if wanted] or ["pdf", "epub"]
    # The converters are large and seldom needed, so they have their own dependency group.
    python = ["uv", "run", "--quiet", "--group", "docs", "--group", "export", "python"]
    command = [*python, "-m", "fastship_tooling.docs.export"]
    with console.status(f"Writing {' and '.join(kinds)} ..."):
        code = subprocess.run([*command, str(SITE), *kinds], check=False).returncode
    raise typer.Exit(code)
