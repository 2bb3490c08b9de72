"""The commands of `docs`."""

import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import CLIError, console
from fastship_tooling.ports import require_free_port
from fastship_tooling.progress import step
from fastship_tooling.project import DOCS_URL, STATE
from fastship_tooling.settings import default_to_development, load_settings

app = typer.Typer(help="Write and publish the documentation site.", no_args_is_help=True)

SITE = Path("site")
BUILD = "fastship_tooling.docs.build"


def run_python(*arguments: str) -> int:
    """Run Python with the dependency group `docs`, and return the exit code."""
    python = [sys.executable]
    if find_spec("zensical") is None:
        python = ["uv", "run", "--quiet", "--group", "docs", "python"]
    with subprocess.Popen([*python, *arguments]) as process:
        # Some editors and supervisors send SIGTERM.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8001,
) -> None:
    """Serve the site, and rebuild it when a page or the code changes.

    Example: docs serve --port 8001
    """
    require_free_port(host, port)
    origin = f"http://{host}:{port}"
    default_to_development()
    with suppress(CLIError):  # the site does not need valid settings
        if origin not in load_settings().app.cors_origins:
            console.print(
                f"To send requests to the API from this site, add {origin} to APP_CORS_ORIGINS in .env."
            )
    STATE.mkdir(exist_ok=True)
    DOCS_URL.write_text(origin)
    try:
        code = run_python("-m", BUILD, "serve", f"{host}:{port}")
    finally:
        DOCS_URL.unlink(missing_ok=True)
    raise typer.Exit(code)


@app.command()
def build() -> None:
    """Build the site in `site/`. A broken link is an error.

    Example: docs build
    """
    raise typer.Exit(run_python("-m", BUILD))


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
    from fastship_tooling.docs import versions
    from fastship_tooling.version import current_version

    name = version or ".".join(current_version().split(".")[:2])
    before = versions.fetch(remote)
    if code := run_python("-m", BUILD, "with-selector"):
        raise typer.Exit(code)
    new = versions.commit(SITE, name, before)
    if dry_run:
        console.out(versions.changes(before, new), highlight=False)
        console.print(f"Dry run: {name} was not pushed to {remote}/{versions.BRANCH}.")
        return
    versions.push(new, remote)
    console.print(f"Published {name} to {remote}/{versions.BRANCH}.")


@app.command()
def export(
    pdf: Annotated[bool, typer.Option("--pdf", help="Write a PDF.")] = False,
    epub: Annotated[bool, typer.Option("--epub", help="Write an EPUB.")] = False,
) -> None:
    """Write all pages to one file: `dist/docs.pdf` and `dist/docs.epub`. By default both.

    Example: docs export --pdf
    """
    if code := run_python("-m", BUILD):
        raise typer.Exit(code)
    kinds = [kind for kind, wanted in (("pdf", pdf), ("epub", epub)) if wanted] or ["pdf", "epub"]
    # The converters are large and seldom needed, so they have their own dependency group.
    python = ["uv", "run", "--quiet", "--group", "docs", "--group", "export", "python"]
    command = [*python, "-m", "fastship_tooling.docs.export"]
    with step(f"Writing {' and '.join(kinds)}"):
        code = subprocess.run([*command, str(SITE), *kinds], check=False).returncode
    raise typer.Exit(code)
