"""`docs`: the documentation site."""

import os
from typing import Annotated

import typer

from app.cli.console import run

app = typer.Typer(help="The documentation site.", no_args_is_help=True)

# Material announces the end of MkDocs 1 at every run; pyproject.toml pins what works.
os.environ["NO_MKDOCS_2_WARNING"] = "1"


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8001,
) -> None:
    """Show the site, and renew it when a page changes.

    Example: docs serve --port 8001
    """
    raise typer.Exit(run("mkdocs", "serve", "--dev-addr", f"{host}:{port}"))


@app.command()
def build() -> None:
    """Build the site into `site/`; a broken link is an error.

    Example: docs build
    """
    raise typer.Exit(run("mkdocs", "build", "--strict"))
