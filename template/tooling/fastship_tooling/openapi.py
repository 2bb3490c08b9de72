"""`openapi`: the OpenAPI schema, as a file in the repository."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import CLIError, console, fail
from fastship_tooling.leftovers import SOURCE, describe_leftovers
from fastship_tooling.project import command_line

if TYPE_CHECKING:
    from fastapi import FastAPI

FILE = Path("openapi.json")


def openapi(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if the file is outdated.")
    ] = False,
) -> None:
    """Write the OpenAPI schema to `openapi.json`. Clients are generated from it.

    Example: openapi --check
    """
    text = render()
    current = FILE.exists() and FILE.read_text(encoding="utf-8") == text
    if check and not current:
        state = "is outdated. Update" if FILE.exists() else "does not exist. Create"
        fail(f"{FILE} {state} it and commit it: {command_line('openapi')}")
    if not current:
        FILE.write_text(text, encoding="utf-8", newline="\n")
    console.print(f"{FILE} {'is up to date' if current else 'was updated'}.")


def render() -> str:
    """Return the schema as JSON, always the same for the same code."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """Return the OpenAPI schema."""
    described = application().openapi()
    # The version of the project changes with every commit, the API does not.
    described["info"]["version"] = "1"
    return described


def application() -> "FastAPI":
    """Create the application with default settings, independent of the environment of this machine.

    Raises:
        CLIError: The code imports modules that an update has removed.
    """
    from app.config import Settings

    try:
        from app.main import create_app
    except (ImportError, SyntaxError) as error:
        if leftovers := describe_leftovers(SOURCE):
            raise CLIError(str(leftovers)) from error
        raise

    environ = {"APP_ENVIRONMENT": "test", "LOG_LEVEL": "WARNING"}
    return create_app(Settings.load(environ, env_file=None, secrets_dir=None))
