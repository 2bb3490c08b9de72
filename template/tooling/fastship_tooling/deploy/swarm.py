"""Several servers: Docker Swarm, which replaces containers one by one and rolls back by itself."""

import json
from hashlib import sha256
from pathlib import Path

from dotenv import dotenv_values

from app.config import SLUG
from fastship_tooling.deploy.preparation import (
    ENV_FILE,
    SECRETS,
    VOLUME,
    copy_secrets,
    service_secrets,
)
from fastship_tooling.deploy.server import DeployError, migrate
from fastship_tooling.docker import LAST_LINES, Docker
from fastship_tooling.progress import step
from fastship_tooling.project import HAS_DATABASE, STATE

STACK_FILES = [Path(__file__).with_name("swarm.yml")]
SERVICES = ["app"]
if HAS_DATABASE:
    STACK_FILES.append(Path(__file__).parents[1] / "database/worker.yml")
    SERVICES.append("worker")


def roll_out(engine: Docker, built: str, registry: str | None) -> None:
    """Replace the version that is serving by a new one, container by container.

    Args:
        engine: Docker engine of a manager.
        built: Image, on the manager.
        registry: Registry from which the other nodes pull the image; None for a single node.

    Raises:
        DeployError: The new version did not start, and the swarm has rolled back.
        DockerError: A step failed. The previous version is still serving.
    """
    if engine.output("info", "--format", "{{.Swarm.ControlAvailable}}") != "true":
        raise DeployError("This Docker engine is not a swarm manager. Run: docker swarm init")
    image = _image_name(engine, built, registry)
    with step("Publishing the image"):
        engine.run("tag", built, image)
        if registry:
            engine.run("push", "--quiet", image)
    settings = _settings()
    stack = Docker((), settings | {"IMAGE": image}, engine.dry_run)
    if HAS_DATABASE:
        with step("Copying the secrets"):
            copy_secrets(engine, built, service_secrets([]))
    mount = f"type=volume,src={VOLUME},dst=/run/secrets,volume-subpath=migrations,readonly"
    # Without values: docker takes them from its environment.
    names = [part for name in settings for part in ("--env", name)]
    migrate(stack, "run", "--rm", *names, "--mount", mount, image)
    with step("Updating the swarm"):
        stack.run(
            *["stack", "deploy", "--detach=false", "--with-registry-auth"],
            *(part for file in (*STACK_FILES, _stack_file(settings)) for part in ("-c", str(file))),
            SLUG,
        )
    if engine.dry_run:
        return
    for service in SERVICES:
        name = f"{SLUG}_{service}"
        state = engine.output(
            "service", "inspect", "--format", "{{with .UpdateStatus}}{{.State}}{{end}}", name
        )
        if state.startswith("rollback"):
            raise DeployError(
                "The new version did not start, and the swarm has rolled back. The end of the log of "
                f"the new version:\n{_failed_log(engine, name, image)}"
            )


def _image_name(engine: Docker, built: str, registry: str | None) -> str:
    """Return a name that is unique to the image. Otherwise the swarm would not update the service."""
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    if engine.dry_run:  # the image does not exist
        return f"{prefix}{SLUG}:ID"
    digest = engine.output("image", "inspect", "--format", "{{.Id}}", built)
    return f"{prefix}{SLUG}:{digest.removeprefix('sha256:')[:12]}"


def roll_back(engine: Docker) -> None:
    """Return to the previous version.

    Args:
        engine: Docker engine of a manager.

    Raises:
        DockerError: There is no previous version.
    """
    with step("Rolling back"):
        for service in SERVICES:
            name = f"{SLUG}_{service}"
            previous = "{{if .PreviousSpec}}yes{{end}}"
            if service == "worker" and not engine.output(
                "service", "inspect", "--format", previous, name
            ):
                # The previous version had no worker. This one must not run next to it.
                engine.run("service", "scale", "--detach=false", f"{name}=0")
            else:
                engine.run("service", "rollback", "--detach=false", name)


def _failed_log(engine: Docker, service: str, image: str) -> str:
    columns = "{{.ID}} {{.Image}} {{.CurrentState}}"
    tasks = [
        task.split()
        for task in engine.output("service", "ps", "--format", columns, service).splitlines()
    ]
    # Prefer a failed task: others may have been stopped before they logged anything.
    failed = next(
        (task for task, ran, state, *_ in tasks if (ran, state) == (image, "Failed")), service
    )
    return engine.try_run("service", "logs", "--raw", "--tail", str(LAST_LINES), failed)[1]


def _settings() -> dict[str, str]:
    settings = {name: value or "" for name, value in dotenv_values(ENV_FILE).items()}
    # `docker stack` does not replace a variable within the default of another one.
    hosts = settings.get("APP_TRUSTED_HOSTS") or settings.get("DOMAIN", "")
    return settings | {"APP_TRUSTED_HOSTS": hosts}


def _stack_file(settings: dict[str, str]) -> str:
    """Write a compose file with the settings and the secrets.

    Swarm secrets are immutable, so the name of each contains a hash of its content. In an `env_file`, the
    swarm would not remove quotes.

    Args:
        settings: Environment variables of the services.
    """
    names = {}
    for path in sorted(path for path in SECRETS.glob("[!.]*") if path.is_file()):
        digest = sha256(path.read_bytes()).hexdigest()[:12]
        names[path.name] = {"file": str(path.resolve()), "name": f"{SLUG}-{path.name}-{digest}"}
    STATE.mkdir(exist_ok=True)
    file = STATE / "swarm.json"
    environment = {name: value.replace("$", "$$") for name, value in settings.items()}
    services = {
        service: {"environment": environment, "secrets": list(names)} for service in SERVICES
    }
    content = {"services": services, "secrets": names}
    file.write_text(json.dumps({"version": "3.9", **content}, indent=2))
    return str(file)
