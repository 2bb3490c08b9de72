"""From this folder to a server: build, start beside what runs, switch, and stay with the old one if that fails."""

from collections.abc import Callable

beside: dict[str, str] = {}
"""Services of docker-compose.prod.yml that run beside the application, and the setting that names another instead."""

before_start: list[Callable[[Callable[..., None]], None]] = []
"""What is done before a new version starts; an error leaves the old one serving.

Each gets what runs a command in the new version, once: `run("myapp", "--version")`.
"""

random_secrets: list[str] = []
"""Secrets that nobody has to think of."""
