"""The history of the schema, and how to walk it. `env.py` and this page are the template's."""

from pathlib import Path

from alembic import command
from alembic.config import Config

PYPROJECT = Path("pyproject.toml")


def config(url: str) -> Config:
    """Make Alembic's configuration.

    Args:
        url: Database to work on, with the async driver.
    """
    # In an image there is the installed package alone, without the pyproject.toml.
    made = Config(toml_file=PYPROJECT) if PYPROJECT.exists() else Config()
    made.set_main_option("script_location", "app:migrations")
    made.attributes["url"] = url
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to a revision. Not to be called where an event loop runs."""
    command.upgrade(config(url), revision)
