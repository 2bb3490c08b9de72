"""`.env`, made when it is missing."""

import os
import re
from pathlib import Path

from app.cli.console import console

ENV_FILE = Path(".env")
EXAMPLE = Path(".env.example")


def ensure_env_file() -> bool:
    """Make `.env` from `.env.example`, with a fresh secret for each `change-me`.

    An existing file is left alone. Where there is no example, as in an image, nothing is made.

    Returns:
        Whether it was made.
    """
    if ENV_FILE.exists() or not EXAMPLE.exists():
        return False
    import secrets  # noqa: PLC0415

    text = re.sub(
        "change-me(?=$)", lambda _: secrets.token_urlsafe(48), EXAMPLE.read_text(), flags=re.M
    )
    # Nobody else can read it, from the first moment on; a file that is there by now is kept.
    descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    console.print(f"Made {ENV_FILE} from {EXAMPLE}.")
    return True
