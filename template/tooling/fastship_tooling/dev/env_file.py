"""`.env`, created from `.env.example`."""

import os
import re
from pathlib import Path

from app.cli.console import console

ENV_FILE = Path(".env")
EXAMPLE = Path(".env.example")


def ensure_env_file() -> bool:
    """Create `.env` from `.env.example` if it is missing. Each `change-me` becomes a random secret.

    Returns:
        Whether the file was created.
    """
    if ENV_FILE.exists() or not EXAMPLE.exists():
        return False
    import secrets

    text = re.sub(
        "change-me(?=$)", lambda _: secrets.token_urlsafe(48), EXAMPLE.read_text(), flags=re.M
    )
    # The file is private from the start, and a file that was created meanwhile is kept.
    descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    console.print(f"Created {ENV_FILE} from {EXAMPLE}.")
    return True
