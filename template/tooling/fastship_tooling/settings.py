"""The settings of the project: misspelled names, and secrets."""

import difflib
import io
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.cli.console import CLIError
from fastship_tooling.dev.env_file import ENV_FILE

if TYPE_CHECKING:
    from app.config import Settings
    from app.kit.settings import SettingsIssue


def load_settings() -> "Settings":
    """Load the settings, and check the names in `.env`.

    Raises:
        CLIError: The settings are invalid, or a name in `.env` is misspelled.
    """
    from app.config import Settings
    from app.kit.settings import SettingsError

    issues = list(typos())
    try:
        settings = Settings.load()
    except SettingsError as error:
        issues += error.issues
    if issues:
        raise CLIError(
            f"{SettingsError(issues)}\nCorrect them in {ENV_FILE}, or in the environment."
        )
    return settings


def default_to_development() -> None:
    """Use the rules of development in a new checkout, which has no `.env` yet.

    A configured database may be that of production, so its rules apply then.
    """
    if not ENV_FILE.exists() and not os.environ.get("DATABASE_URL"):
        os.environ.setdefault("APP_ENVIRONMENT", "development")


def typos() -> "Iterator[SettingsIssue]":
    """Yield the names in `.env` that probably are misspelled settings.

    Other programs read the file too: a name that resembles no setting is ignored.
    """
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    from app.config import Settings
    from app.kit.settings import SettingsIssue

    try:
        text = ENV_FILE.read_text("utf-8") if ENV_FILE.exists() else ""
    except (OSError, UnicodeDecodeError):
        return  # an issue of the settings
    # It would log each line that it cannot read.
    logging.getLogger("dotenv").setLevel(logging.ERROR)
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            number = binding.original.line
            yield SettingsIssue(f"{ENV_FILE}, line {number}", "is not NAME=value.")
    groups = Settings.groups().values()
    known = [variable for group in groups for variable in group.variables().values()]
    prefixes = tuple(str(group.model_config["env_prefix"]) for group in groups)
    for name in map(str.upper, dotenv_values(stream=io.StringIO(text))):
        if name.removesuffix("_FILE") in known:
            continue
        if similar := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            yield SettingsIssue(name, f"is not a setting ({ENV_FILE}). Did you mean {similar[0]}?")
        elif name.startswith(prefixes):
            mine = [variable for variable in known if variable.startswith(name.split("_")[0])]
            yield SettingsIssue(
                name, f"is not a setting ({ENV_FILE}). Settings: {', '.join(mine)}."
            )


def secret_variables() -> set[str]:
    """Return the variables whose values must not be displayed."""
    from app.config import Settings

    return {
        group.variables()[name]
        for group in Settings.groups().values()
        for name, field in group.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
