"""Checks before a deployment: the working tree, the lock file, the settings and the secrets."""

import io
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values

from app.cli.console import CLIError, console
from app.config import SLUG, Settings
from app.kit.settings import SettingsError
from fastship_tooling import git
from fastship_tooling.docker import Docker, DockerError
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, HAS_REDIS, command_line
from fastship_tooling.settings import secret_variables

COMPOSE_FILE = "deploy/docker-compose.prod.yml"
ENV_FILE = Path("deploy/production.env")
EXAMPLE = Path("deploy/production.env.example")
SECRETS = Path("deploy/secrets")
VOLUME = f"{SLUG}-secrets"
# Running containers see the folders, so their content is replaced, when the archive has arrived completely.
REPLACE_SECRETS = """set -e
rm -rf /to/.new
mkdir /to/.new
tar -x -C /to/.new
cd /to/.new
for folder in *; do
  mkdir -p "/to/$folder"
  find "/to/$folder" -type f -delete
  cp -a "$folder/." "/to/$folder"
done
rm -rf /to/.new
"""
MIN_ENGINE = 26
"""Version of the Docker engine that can mount a folder of a volume."""
PASSWORDS = SECRETS / "passwords"
"""Generated passwords for the services next to the application."""
ROLES = ("app", "migrations", "backup")
"""Roles of the database, each with a password of its own."""
BACKING_SERVICES = {
    **({"db": "DATABASE_URL", "backup": "DATABASE_URL"} if HAS_DATABASE else {}),
    **({"redis": "REDIS_URL"} if HAS_REDIS else {}),
}
"""Services next to the application, and the setting that replaces each by an external one."""


class NotReady(CLIError):
    """The deployment cannot start. The message lists every reason."""


def production(*, dry_run: bool = False) -> Docker:
    """Return the docker CLI for the production containers.

    Args:
        dry_run: Print the commands that would change something, and do not run them.
    """
    env_file = ENV_FILE if ENV_FILE.exists() else EXAMPLE  # `deploy` copies it
    files = ("--project-directory", ".", "--env-file", str(env_file), "--file", COMPOSE_FILE)
    # A changed password recreates the container of Redis, which reads it once.
    password = _read(PASSWORDS).get("redis", "")
    digest = sha256(password.encode()).hexdigest()[:12]
    variables = {"ENV_FILE": str(env_file), "REDIS_PASSWORD_HASH": digest}
    return Docker(("compose", *files), variables, dry_run)


def prepare(services: list[str], *, dirty: bool, dry_run: bool) -> tuple[Docker, list[str]]:
    """Check that everything is ready for a deployment, and create missing files.

    Args:
        services: Services to run next to the application.
        dirty: Allow uncommitted changes.
        dry_run: Create nothing, and return what is missing instead of an error.

    Returns:
        The docker CLI for the production containers, and what is missing.

    Raises:
        NotReady: Something is missing.
    """
    created = [] if dry_run else create_files(services)
    containers = production(dry_run=dry_run)
    issues = [*lock_issues(), *settings_issues(containers, services)]
    if not dirty:
        issues += tree_issues()
    if issues and created:
        console.print(f"Created {', '.join(created)}.")
    if not dry_run:
        require_ready(issues)
    return containers, issues


def require_ready(issues: list[str]) -> None:
    """Refuse to deploy while something is missing.

    Args:
        issues: What is missing.

    Raises:
        NotReady: There is an issue.
    """
    if issues:
        raise NotReady("\n".join(["Before you can deploy:", *(f"  {issue}" for issue in issues)]))


def create_files(services: list[str]) -> list[str]:
    """Create the settings of production, and the random secrets, where they are missing.

    Args:
        services: Services to run next to the application.

    Returns:
        The created files.
    """
    created = []
    if not ENV_FILE.exists():
        ENV_FILE.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
        created.append(str(ENV_FILE))
    for folder in (SECRETS, PASSWORDS):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    random = [SECRETS / "SECRET_KEY"] if HAS_AUTH else []
    if "db" in services:
        random += [PASSWORDS / role for role in ROLES]
    if "redis" in services:
        random.append(PASSWORDS / "redis")
    for path in random:
        if not path.exists():
            path.touch(0o600)
            path.write_text(secrets.token_urlsafe(48))
            created.append(str(path))
    return created


def require_running(containers: Docker, service: str) -> None:
    """Check that a service of the deployment is running.

    Args:
        containers: The docker CLI for the production containers.
        service: Name of the service.

    Raises:
        NotReady: It is not running.
    """
    if not containers.output("ps", "--quiet", "--status", "running", service):
        where = os.environ.get("DOCKER_HOST") or "this machine"
        raise NotReady(
            f"The deployment on {where} has no running service {service}. "
            f"Deploy first, or pass its --host: {command_line('deploy --host ssh://root@example.com')}"
        )


def tree_issues() -> Iterator[str]:
    """Yield the reasons why the deployed code could not be identified later."""
    if shutil.which("git") is None:
        yield "Git is not installed. Install it, or use --dirty."
        return
    done = git.run("status", "--porcelain")
    if done.returncode:
        yield f"Git cannot read this folder ({done.stderr.strip()}). Run git init and commit, or use --dirty."
    elif done.stdout:
        yield "There are uncommitted changes (git status). Commit them, or use --dirty."


def lock_issues() -> Iterator[str]:
    """Yield the reasons why the image would differ from the tested dependencies."""
    check = ["uv", "lock", "--check", "--quiet"]
    if subprocess.run(check, check=False, capture_output=True).returncode:
        yield f"uv.lock is outdated. Update it: {command_line('lock')}"


def settings_issues(containers: Docker, services: list[str]) -> Iterator[str]:
    """Yield the settings with which the application would not start.

    Args:
        containers: The docker CLI for the production containers.
        services: Services to run next to the application.
    """
    try:
        config = json.loads(containers.output("config", "--format", "json"))
    except DockerError as error:
        yield f"{COMPOSE_FILE} is invalid. {error}\nIt requires Docker Compose 2.27 or newer."
        return
    domain = dotenv_values(ENV_FILE).get("DOMAIN")
    if not domain:
        yield f"DOMAIN: is not set. Set it to the host name of the API. ({ENV_FILE})"
    elif re.search(r",(?! )", domain):
        yield f"DOMAIN: write a space after each comma. ({ENV_FILE})"
    environment = config["services"]["blue"]["environment"]
    environ = {name: str(value) for name, value in environment.items() if value}
    try:
        # The environment has precedence, as in the container.
        Settings.load(app_secrets(services) | environ, env_file=None, secrets_dir=None)
    except SettingsError as error:
        for variable, advice in error.issues:
            secret = variable in secret_variables()
            # The first is the same as DOMAIN, and `deploy` creates the file of the second.
            created = variable == "SECRET_KEY" and not (SECRETS / variable).exists()
            if variable != "APP_TRUSTED_HOSTS" and not created:
                place = f"as the file {SECRETS / variable}" if secret else str(ENV_FILE)
                yield f"{variable}: {advice} ({place})"


def backing_services() -> list[str]:
    """Return the services to run next to the application, except for those that are external."""
    settings = dotenv_values(ENV_FILE)
    return [
        service
        for service, variable in BACKING_SERVICES.items()
        if not settings.get(variable) and not (SECRETS / variable).exists()
    ]


def _read(folder: Path) -> dict[str, str]:
    files = [path for path in folder.glob("[!.]*") if path.is_file()]
    return {path.name: path.read_text("utf-8").strip() for path in sorted(files)}


def app_secrets(services: list[str], role: str = "app") -> dict[str, str]:
    """Return the secrets of the application, by name, with the URLs of the services next to it.

    Args:
        services: Services to run next to the application.
        role: Role of the database. The secrets in `migrations/` replace others for that role.
    """
    found = _read(SECRETS) | (_read(SECRETS / role) if role != "app" else {})
    passwords = {name: quote(password, safe="") for name, password in _read(PASSWORDS).items()}
    if "db" in services:
        found["DATABASE_URL"] = f"postgresql://{role}:{passwords.get(role, '')}@db:5432/app"
    if "redis" in services:
        found["REDIS_URL"] = f"redis://:{passwords.get('redis', '')}@redis:6379/0"
    return found


def service_secrets(services: list[str]) -> dict[str, dict[str, str]]:
    """Return the secrets of the migrations and of the services next to the application, by folder and name.

    Args:
        services: Services to run next to the application.
    """
    passwords = {
        name: {"PASSWORD": value} for name, value in _read(PASSWORDS).items() if name in services
    }
    return {"migrations": app_secrets(services, "migrations")} | passwords


def copy_secrets(engine: Docker, image: str, folders: dict[str, dict[str, str]]) -> None:
    """Copy secrets to a volume on the server. Other folders of the volume stay.

    Args:
        engine: Docker engine of the server.
        image: Any image that contains tar.
        folders: Secrets by folder and name.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder, files in folders.items():
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
            for name, value in files.items():
                content = value.encode()
                entry = tarfile.TarInfo(f"{folder}/{name}")
                # Other images run as other users. Access is limited by who mounts the folder.
                entry.size, entry.mode = len(content), 0o444
                tar.addfile(entry, io.BytesIO(content))
    engine.run("volume", "create", VOLUME)
    engine.run(
        *["run", "--rm", "--interactive", "--network", "none", "--user", "0:0"],
        *["--volume", f"{VOLUME}:/to", "--entrypoint", "sh", image, "-c", REPLACE_SECRETS],
        stdin=archive.getvalue(),
    )


def roles_script() -> bytes:
    """Return the input for psql that creates the roles of the database."""
    from fastship_tooling.database import roles

    passwords = _read(PASSWORDS)
    return roles.script({role: passwords.get(role, "") for role in ROLES}).encode()
