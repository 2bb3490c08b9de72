"""`openapi`: the description of the API, kept in the repository."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import console, fail, settings_of

if TYPE_CHECKING:
    from fastapi import FastAPI

FILE = Path("openapi.json")


def openapi(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if it is not current.")
    ] = False,
) -> None:
    """Write `openapi.json`, the description of the API that clients are made from.

    Example: openapi --check
    """
    text = render()
    current = FILE.exists() and FILE.read_text(encoding="utf-8") == text
    if check and not current:
        fail(f"{FILE} is not what the code says. Renew it, and commit it: openapi")
    if not current:
        FILE.write_text(text, encoding="utf-8", newline="\n")
    console.print(f"{FILE} is current.")


def render() -> str:
    """Write the description as text, the same for the same code."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """Describe the API."""
    described = described_app().openapi()
    # The version of the release changes with every commit, the API does not.
    described["info"]["version"] = "1"
    return described


def described_app() -> "FastAPI":
    """Make the application by the code alone, whatever the settings of this machine are."""
    from app.main import create_app  # noqa: PLC0415

    return create_app(settings_of({"APP_ENVIRONMENT": "test", "LOG_LEVEL": "WARNING"}))
