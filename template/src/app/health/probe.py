"""Asks the application in this container how it is, without curl: `python -m app.health.probe ready`."""

import os
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

SECONDS = 2.5


def ask(what: str) -> tuple[bool, str]:
    """Ask.

    Args:
        what: `live` or `ready`.

    Returns:
        Whether the answer is good, and the answer.
    """
    port = os.environ.get("PORT") or os.environ.get("APP_PORT") or "8000"
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/{what}", timeout=SECONDS) as response:
            return True, response.read().decode()
    except HTTPError as error:
        return False, error.read().decode()
    except OSError as error:
        return False, str(error)


if __name__ == "__main__":
    good, answer = ask(sys.argv[1])
    print(answer)
    sys.exit(not good)
