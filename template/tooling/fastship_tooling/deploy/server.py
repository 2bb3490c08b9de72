"""One server: two versions of the application, blue and green, behind a proxy."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dotenv import dotenv_values

from app.cli.console import CLIError
from app.config import SLUG
from fastship_tooling.deploy import preparation
from fastship_tooling.docker import LAST_LINES, Docker, DockerError
from fastship_tooling.progress import step
from fastship_tooling.project import HAS_DATABASE

COLORS = ("blue", "green")
CADDYFILE = Path("deploy/Caddyfile")
NOTICE_SECONDS = 3
"""Time for the proxy to notice a version that is ready; it checks every second."""
POLL_SECONDS = 0.5
PROXY_ATTEMPTS = 40
MIGRATIONS = ("run", "--rm", "--no-deps", "--no-TTY", "once")
STILL_SERVING = "The previous version is still serving."


class DeployError(CLIError):
    """The new version is not serving."""


def migrate(docker: Docker, *once: str) -> None:
    """Check and apply the migrations, before a new version starts.

    Args:
        docker: The docker CLI.
        once: Its arguments that run a command in the new version.

    Raises:
        DeployError: A migration is refused, or failed. Nothing has changed.
    """
    if not HAS_DATABASE:
        return
    from fastship_tooling.database import squawk

    try:
        if not docker.dry_run:
            with step("Checking the migrations"):
                squawk.require_safe(docker.output(*once, SLUG, "db", "current").split())
        with step("Migrating"):
            docker.run(*once, SLUG, "db", "upgrade")
    except squawk.UnsafeMigration as error:
        raise DeployError(f"{error}\n{STILL_SERVING}") from error
    except CLIError as error:
        raise DeployError(f"The migration failed. {error}\n{STILL_SERVING}") from error


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM. They can arrive twice: from the terminal and from uv."""
    handlers = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def members(color: str) -> tuple[str, ...]:
    """Return the services of a color: the application and, with a database, the worker of its jobs."""
    return (f"{color}-worker", color) if HAS_DATABASE else (color,)


def other(color: str | None) -> str:
    """Return the color of the next version."""
    return "green" if color == "blue" else "blue"


class Server:
    """The deployment on one server.

    Tags of the images store the state, since the containers of a version may crash: `blue-live` is on the
    server while blue is serving, and `green-previous` while green can replace it again.

    Args:
        engine: Docker engine of the server.
        compose: The docker CLI for the production containers.
        timeout: Seconds to wait until a new version is ready.
    """

    def __init__(self, engine: Docker, compose: Docker, timeout: float) -> None:
        self.engine = engine
        self.compose = compose
        self.timeout = timeout

    def containers(self, *services: str) -> list[str]:
        """Return the IDs of the containers of services."""
        return self.compose.output("ps", "--quiet", "--all", *services).split()

    def tags(self) -> set[str]:
        """Return the tags of the images."""
        return set(self.engine.output("image", "ls", "--format", "{{.Tag}}", SLUG).split())

    def live(self) -> str | None:
        """Return the color that is serving, if any."""
        tags = self.tags()
        live = [color for color in COLORS if f"{color}-live" in tags]
        if not live:
            # Before the first deployment, or `docker system prune --all` has removed the tags.
            running = ("ps", "--quiet", "--status", "running")
            live = [color for color in COLORS if self.compose.output(*running, color)]
        # An interrupted switch leaves both.
        current = [color for color in live if f"{color}-previous" not in tags]
        return next(iter([*current, *live]), None)

    def roll_out(self, image: str, services: list[str]) -> str:
        """Replace the version that is serving by a new one.

        Args:
            image: Image of the new version.
            services: Services to run next to the application.

        Returns:
            Color of the new version.

        Raises:
            DeployError: The new version does not become ready. The previous one is still serving.
            DockerError: A step failed. The previous version is still serving.
        """
        live = self.live()
        color = other(live)
        start = ("up", "--detach", "--wait", "--no-deps")
        with step("Copying the secrets"):
            preparation.copy_secrets(self.engine, image, preparation.service_secrets(services))
        if first := [name for name in services if name != "backup"]:
            with step("Starting services"):
                self.compose.run(*start, *first)
                if "db" in services:
                    self._set_up_roles()
        migrate(self.compose, *MIGRATIONS)
        if "backup" in services:  # the first backup has the tables
            self.compose.run(*start, "backup")
        try:
            with step(f"Starting the new version ({color})"):
                self._untag(color)
                secrets = {color: preparation.app_secrets(services)}
                preparation.copy_secrets(self.engine, image, secrets)
                self.engine.run("tag", image, f"{SLUG}:{color}")
                self.compose.run("up", "--detach", "--no-deps", "--force-recreate", *members(color))
                self.wait_until_ready(color)
                # Until here, the previous version keeps its domain.
                self.compose.run(*start, "proxy")
                self._configure_proxy()
            self._accept(color, live)
        except BaseException:
            self._discard(color)
            raise
        self._stop(other(color))
        return color

    def roll_back(self) -> str:
        """Start the previous version again, and stop the current one.

        Returns:
            Color of the previous version.

        Raises:
            DeployError: There is no previous version, or it does not become ready.
        """
        live = self.live()
        color = other(live)
        if f"{color}-previous" not in self.tags() or not self.containers(color):
            raise DeployError("There is no previous version on this server. Deploy one instead.")
        try:
            with step(f"Starting the previous version ({color})"):
                self.compose.run("start", *members(color))
                self.wait_until_ready(color)
            self._accept(color, live)
        except BaseException:
            with uninterrupted():
                self.compose.try_run("stop", *members(color))
            raise
        self._stop(other(color))
        return color

    def wait_until_ready(self, color: str) -> None:
        """Wait until all containers of a color are ready.

        Raises:
            DeployError: A container exits, or they are not ready in time.
        """
        if self.engine.dry_run:
            return
        deadline = time.monotonic() + self.timeout
        body = "no response"
        while time.monotonic() < deadline:
            waiting = self.containers(*members(color))
            if not self.containers(color):
                raise self._failure(color, "It has no containers. REPLICAS must be at least 1.")
            for container in list(waiting):
                state = self.engine.output(
                    "inspect", "--format", "{{.State.Running}} {{.RestartCount}}", container
                )
                if state != "true 0":
                    raise self._failure(color, "It exited.")
                ready, body = self.engine.try_run(
                    "exec", container, "python", "-m", "app.health.probe", "ready"
                )
                if not ready:
                    break
                waiting.remove(container)
            if not waiting:
                return
            time.sleep(POLL_SECONDS)
        raise self._failure(
            color, f"It was not ready within {self.timeout:g} seconds. /health/ready: {body}"
        )

    def _failure(self, color: str, reason: str) -> DeployError:
        tail = ("--no-log-prefix", "--tail", str(LAST_LINES))
        _, log = self.compose.try_run("logs", *tail, *members(color))
        return DeployError(
            f"The new version did not start. {reason} The end of its log:\n{log}\n{STILL_SERVING}"
        )

    def _discard(self, color: str) -> None:
        """Remove a version that was not accepted. It may serve already, so it finishes its requests."""
        with uninterrupted(), step("Removing the new version"):
            self.compose.try_run("rm", "--stop", "--force", *members(color))

    def _untag(self, color: str) -> None:
        for tag in sorted(self.tags() & {f"{color}-live", f"{color}-previous"}):
            self.engine.run("image", "rm", "--no-prune", f"{SLUG}:{tag}")

    def _accept(self, color: str, live: str | None) -> None:
        """Store that a version is serving, instead of `live`. After an error, `live` still counts as serving."""
        with uninterrupted():
            if live:
                self.engine.run("tag", f"{SLUG}:{live}", f"{SLUG}:{live}-previous")
            self._untag(color)
            self.engine.run("tag", f"{SLUG}:{color}", f"{SLUG}:{color}-live")
            if live and not self.engine.dry_run:
                self.engine.try_run("image", "rm", "--no-prune", f"{SLUG}:{live}-live")

    def _stop(self, color: str) -> None:
        """Stop a version. It reports "not ready" first, and finishes its requests and jobs."""
        if not self.containers(color):
            return
        with step(f"Stopping the old version ({color})"):
            if not self.engine.dry_run:
                time.sleep(NOTICE_SECONDS)
            self.compose.run("stop", *members(color))

    def _set_up_roles(self) -> None:
        """Create the roles of the database. The superuser can only connect inside the container."""
        self.compose.run(
            *["exec", "--no-TTY", "db", "psql", "--quiet", "--no-psqlrc"],
            *["--set", "ON_ERROR_STOP=1", "--username", "postgres", "--dbname", "app"],
            stdin=preparation.roles_script(),
        )

    def _configure_proxy(self) -> None:
        """Load the configuration of the proxy."""
        # With the domain in the environment of the container, a change would restart it.
        domain = dotenv_values(preparation.ENV_FILE).get("DOMAIN")
        for attempt in range(PROXY_ATTEMPTS):
            try:
                self.compose.run(
                    *["exec", "--no-TTY", "--env", f"DOMAIN={domain}"],
                    *["proxy", "caddy", "reload"],
                    *["--config", "-", "--adapter", "caddyfile"],
                    stdin=CADDYFILE.read_bytes(),
                )
            except DockerError as error:
                # The container runs, but Caddy may not listen yet.
                if attempt == PROXY_ATTEMPTS - 1 or "connection refused" not in str(error):
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return
