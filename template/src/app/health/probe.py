"""Health check of a container without curl: `python -m app.health.probe ready`."""

import os
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

TIMEOUT_SECONDS = 2.5


def check(endpoint: str) -> tuple[bool, str]:
    """Request a health endpoint of the application on this machine.

    Args:
        endpoint: `live` or `ready`.

    Returns:
        Whether the application is healthy, and the response body.
    """
    port = os.environ.get("PORT") or os.environ.get("APP_PORT") or "8000"
    url = f"http://127.0.0.1:{port}/health/{endpoint}"
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            return True, response.read().decode()
    except HTTPError as error:
        with error:
            return False, error.read().decode()
    except OSError as error:
        return False, str(error)


if __name__ == "__main__":
    healthy, body = check(sys.argv[1])
    print(body)
    sys.exit(not healthy)
