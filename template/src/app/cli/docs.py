"""`docs`: the documentation site."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, fail, run

app = typer.Typer(help="The documentation site.", no_args_is_help=True)

SITE = Path("site")
BRANCH = "gh-pages"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's, in every repository
# It cannot be run by `python -m`.
MIKE = [sys.executable, "-c", "from mike.driver import main; main()"]

# Material announces the end of MkDocs 1 at every run; pyproject.toml pins what works.
os.environ["NO_MKDOCS_2_WARNING"] = "1"


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8001,
) -> None:
    """Show the site, and renew it when a page or the code changes.

    Example: docs serve --port 8001
    """
    raise typer.Exit(run("mkdocs", "serve", "--dev-addr", f"{host}:{port}"))


@app.command()
def build() -> None:
    """Build the site into `site/`; a broken link is an error.

    Example: docs build
    """
    raise typer.Exit(run("mkdocs", "build", "--strict"))


@app.command()
def deploy(
    version: Annotated[
        str | None, typer.Argument(help="By default that of the code, such as 1.2.")
    ] = None,
    remote: Annotated[str, typer.Option(help="Of git.")] = "origin",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build, and show what would be pushed.")
    ] = False,
) -> None:
    """Publish the site of this version to GitHub Pages, beside those of others.

    Example: docs deploy 1.2 --dry-run
    """
    from app.config import VERSION  # noqa: PLC0415

    name = version or ".".join(VERSION.split(".")[:2])
    # What others have published since is taken along.
    subprocess.run(
        ["git", "fetch", "--quiet", remote, f"{BRANCH}:{BRANCH}"], check=False, capture_output=True
    )
    before = _revision()
    options = ["--update-aliases", "--branch", BRANCH, "--remote", remote]
    for command in (
        ["deploy", *options, name, "latest"],
        ["set-default", "--branch", BRANCH, "latest"],
    ):
        if code := subprocess.run([*MIKE, *command], check=False).returncode:
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
        console.print(f"Would push {name} to {remote}/{BRANCH}. Nothing was.")
        return
    pushed = subprocess.run(["git", "push", "--quiet", remote, BRANCH], check=False)
    if pushed.returncode:
        fail(
            f"{name} is in your branch {BRANCH}, but {remote} did not take it. Try: git push {remote} {BRANCH}"
        )
    console.print(f"{name} is published on {remote}/{BRANCH}.")


def _revision() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@app.command()
def export(
    pdf: Annotated[bool, typer.Option("--pdf", help="As PDF.")] = False,
    epub: Annotated[bool, typer.Option("--epub", help="As EPUB.")] = False,
) -> None:
    """Put all pages into one file, to be read offline: `dist/docs.pdf`, `dist/docs.epub`. By default both.

    Example: docs export --pdf
    """
    if code := run("mkdocs", "build", "--strict", "--quiet"):
        raise typer.Exit(code)
    kinds = [kind for kind, wanted in (("pdf", pdf), ("epub", epub)) if wanted] or ["pdf", "epub"]
    # What makes them is large, and seldom needed: a group of its own.
    python = ["uv", "run", "--quiet", "--group", "export", "python"]
    command = [*python, "-m", "app.cli.docs_site.export"]
    with console.status(f"Writing {' and '.join(kinds)} ..."):
        code = subprocess.run([*command, str(SITE), *kinds], check=False).returncode
    raise typer.Exit(code)
