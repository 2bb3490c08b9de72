"""What has to be right before anything is built: the tree, the lock, the settings, the secrets."""

import io
import json
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values

from app.cli.console import PlainError, console, settings_of
from app.cli.deploy import beside, random_secrets
from app.cli.docker import Docker
from app.config import SLUG, Settings
from app.kit.settings import SettingsError

ENV_FILE = Path(".env.production")
EXAMPLE = Path(".env.production.example")
SECRETS = Path("secrets")
VOLUME = f"{SLUG}-secrets"


class NotReady(PlainError):
    """Something has to be put right first; says all of it."""


def production(*, dry_run: bool = False) -> Docker:
    """Give the containers of docker-compose.prod.yml.

    Args:
        dry_run: Print what would change something, and do not run it.
    """
    # What is in a file is no variable, nor the service beside that stands for it where there is none.
    in_files = {name: "" for name in Settings.secret_variables() if (SECRETS / name).exists()}
    files = ("--env-file", str(ENV_FILE), "--file", "docker-compose.prod.yml")
    return Docker(("compose", *files), in_files, dry_run)


def prepare(*, dirty: bool, dry_run: bool) -> Docker:
    """See that there is something worth deploying, and that it has what it needs.

    Args:
        dirty: Whether uncommitted changes may go along.
        dry_run: For the containers that are given.

    Returns:
        The containers of docker-compose.prod.yml.

    Raises:
        NotReady: There is not, or it has not.
    """
    if dry_run and not ENV_FILE.exists():
        raise NotReady(f"There is no {ENV_FILE} yet. `deploy` makes it, and says what to fill in.")
    made = [] if dry_run else make_files()
    containers = production(dry_run=dry_run)
    faults = [*lock_faults(), *settings_faults(containers)]
    if not dirty:
        faults += tree_faults()
    if faults:
        if made:
            console.print(f"Made {', '.join(made)}. Now it is for you to fill in.")
        raise NotReady("\n".join(["This cannot be deployed yet:", *(f"  {f}" for f in faults)]))
    return containers


def make_files() -> list[str]:
    """Make the settings of production, and those secrets that are random, where they are missing.

    Returns:
        What was made.
    """
    made = []
    if not ENV_FILE.exists():
        ENV_FILE.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
        made.append(str(ENV_FILE))
    SECRETS.mkdir(mode=0o700, exist_ok=True)
    for path in (SECRETS / name for name in random_secrets):
        if not path.exists():
            path.touch(0o600)
            path.write_text(secrets.token_urlsafe(48))
            made.append(str(path))
    return made


def tree_faults() -> Iterator[str]:
    """Yield what would make it unclear later what was deployed."""
    status = ["git", "status", "--porcelain"]
    done = subprocess.run(status, check=False, capture_output=True, text=True)
    if done.returncode:
        yield "This is not under git. Begin with git init, and commit; or: deploy --dirty"
    elif done.stdout:
        yield "Not everything is committed (git status). Commit it; or: deploy --dirty"


def lock_faults() -> Iterator[str]:
    """Yield what keeps the image from being built of what was tested."""
    check = ["uv", "lock", "--check", "--quiet"]
    if subprocess.run(check, check=False, capture_output=True).returncode:
        yield "uv.lock is not in step with pyproject.toml. Mend it: lock"


def settings_faults(containers: Docker) -> Iterator[str]:
    """Yield what the application would refuse to start with.

    Args:
        containers: Those of docker-compose.prod.yml.
    """
    good, said = containers.tried("config", "--format", "json")
    if not good:
        yield f"docker-compose.prod.yml is not usable:\n{said}"
        return
    if not dotenv_values(ENV_FILE).get("DOMAIN"):
        yield f"DOMAIN: is not set; it is the name under which the API is reached. ({ENV_FILE})"
    # Warnings come first.
    services = json.loads(said[said.index("{") :])["services"]
    given = {name: str(value or "") for name, value in services["blue"]["environment"].items()}
    try:
        settings_of(given, SECRETS)
    except SettingsError as error:
        for variable, advice in error.faults:
            secret = variable in Settings.secret_variables()
            if variable != "APP_TRUSTED_HOSTS":  # which is DOMAIN
                where = f"as the file {SECRETS / variable}" if secret else str(ENV_FILE)
                yield f"{variable}: {advice} ({where})"


def services_beside() -> list[str]:
    """List what is to run beside the application: not what the settings say is elsewhere."""
    settings = dotenv_values(ENV_FILE)
    return [
        service
        for service, variable in beside.items()
        if not settings.get(variable) and not (SECRETS / variable).exists()
    ]


def bring_secrets(engine: Docker, image: str) -> None:
    """Copy the secrets to the server: into a volume, since its disk is not this one.

    Args:
        engine: The server's.
        image: Any that has tar.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(SECRETS.iterdir()):
            content = path.read_bytes().strip()
            entry = tarfile.TarInfo(path.name)
            # Users of other images read them too: who is given the volume may read it.
            entry.size, entry.mode = len(content), 0o444
            tar.addfile(entry, io.BytesIO(content))
    engine.do("volume", "create", VOLUME)
    engine.do(
        *["run", "--rm", "--interactive", "--network", "none", "--user", "0:0"],
        *["--volume", f"{VOLUME}:/to", "--entrypoint", "tar", image, "-x", "-C", "/to"],
        given=archive.getvalue(),
    )
