"""One server: two colours of the application behind a proxy, of which one serves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from app.cli.console import PlainError, console
from app.cli.deploy import before_start
from app.cli.docker import LAST_LINES, Docker, DockerError
from app.config import SLUG

COLOURS = ("blue", "green")
CADDYFILE = Path("deploy/Caddyfile")
NOTICE_SECONDS = 3
"""Until the proxy has seen that a colour is ready; it asks every second."""
LOOK_SECONDS = 0.5
PROXY_TRIES = 40


class DeployError(PlainError):
    """The new version does not serve; says why, and what does."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took.

    Args:
        what: In a few words.
    """
    start = time.monotonic()
    with console.status(f"{what} ..."):
        yield
    console.print(f"{what}: {time.monotonic() - start:.1f} s", markup=False)


class Server:
    """Where it runs.

    Args:
        engine: Its Docker.
        compose: Its containers, by docker-compose.prod.yml.
        patience: Seconds that a new version may take to be ready.
    """

    def __init__(self, engine: Docker, compose: Docker, patience: float) -> None:
        self.engine = engine
        self.compose = compose
        self.patience = patience

    def containers(self, colour: str, *, running: bool = False) -> list[str]:
        """List the containers of a colour, by id."""
        states = ["--status", "running"] if running else ["--all"]
        return self.compose.ask("ps", "--quiet", *states, colour).split()

    def live(self) -> str | None:
        """Tell which colour serves. If both do, a deploy was interrupted: it is the older one."""
        since = {
            colour: self.engine.ask("inspect", "--format", "{{.State.StartedAt}}", *found)
            for colour in COLOURS
            if (found := self.containers(colour, running=True))
        }
        return min(since, key=lambda colour: since[colour], default=None)

    def roll_out(self, image: str, services: list[str]) -> str:
        """Put a new version into the place of the one that serves.

        Args:
            image: The new version.
            services: What has to run beside it.

        Returns:
            Its colour.

        Raises:
            DeployError: It does not become ready. The old one serves on.
            DockerError: A step failed. The old one serves on.
        """
        live = self.live()
        colour = "green" if live == "blue" else "blue"
        with step("Start what it needs"):
            self.compose.do("up", "--detach", "--wait", "--no-deps", *services, "proxy")
            self._configure_proxy()
        for prepare in before_start:
            prepare(partial(self.compose.do, "run", "--rm", "--no-deps", "--no-TTY", "once"))
        try:
            with step(f"Start {colour}"):
                self.engine.do("tag", image, f"{SLUG}:{colour}")
                self.compose.do("up", "--detach", "--no-deps", "--force-recreate", colour)
                self.wait_until_ready(colour)
        except BaseException:
            self._discard(colour)
            raise
        self._switch(live)
        return colour

    def roll_back(self) -> str:
        """Start the version before this one again, and stop this one.

        Returns:
            Its colour.

        Raises:
            DeployError: There is none, or it does not become ready.
        """
        live = self.live()
        colour = "green" if live == "blue" else "blue"
        if not self.containers(colour):
            raise DeployError("There is no version before this one here. Deploy one instead.")
        try:
            with step(f"Start {colour} again"):
                self.compose.do("start", colour)
                self.wait_until_ready(colour)
        except BaseException:
            self.compose.do("stop", colour)
            raise
        self._switch(live)
        return colour

    def wait_until_ready(self, colour: str) -> None:
        """Wait until all containers of a colour say that they are ready.

        Raises:
            DeployError: One ends, or they take too long.
        """
        if self.engine.dry_run:
            return
        deadline = time.monotonic() + self.patience
        answer = "nothing"
        while time.monotonic() < deadline:
            waiting = self.containers(colour)
            for container in list(waiting):
                state = self.engine.ask(
                    "inspect", "--format", "{{.State.Running}} {{.RestartCount}}", container
                )
                if state != "true 0":
                    raise self._failed(colour, "It ended at once.")
                good, answer = self.engine.tried(
                    "exec", container, "python", "-m", "app.health.probe", "ready"
                )
                if not good:
                    break
                waiting.remove(container)
            if not waiting:
                return
            time.sleep(LOOK_SECONDS)
        raise self._failed(
            colour, f"It was not ready within {self.patience:g} seconds; /health/ready: {answer}"
        )

    def _failed(self, colour: str, why: str) -> DeployError:
        said = self.compose.ask("logs", "--no-log-prefix", "--tail", str(LAST_LINES), colour)
        return DeployError(
            f"The new version does not start. {why} Its log ends with:\n{said}\n"
            "What served before serves on."
        )

    def _discard(self, colour: str) -> None:
        """Remove what has never served."""
        for command in (["kill", colour], ["rm", "--force", colour]):
            self.compose.tried(*command)

    def _switch(self, live: str | None) -> None:
        """Have the old colour stop: it says so to the proxy first, and answers what has come in."""
        if live is None:
            return
        with step(f"Stop {live}"):
            if not self.engine.dry_run:
                time.sleep(NOTICE_SECONDS)
            self.compose.do("stop", live)

    def _configure_proxy(self) -> None:
        """Hand the proxy its configuration; unchanged, it does nothing."""
        for attempt in range(PROXY_TRIES):
            try:
                self.compose.do(
                    *["exec", "--no-TTY", "proxy", "caddy", "reload"],
                    *["--config", "-", "--adapter", "caddyfile"],
                    given=CADDYFILE.read_bytes(),
                )
            except DockerError as error:
                # It has started, but may not listen yet.
                if attempt == PROXY_TRIES - 1 or "connection refused" not in str(error):
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return
