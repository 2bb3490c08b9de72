"""Several machines: Docker Swarm, which starts new containers before it stops old ones, and goes back by itself."""

import json
from functools import partial
from hashlib import sha256

from dotenv import dotenv_values

from app.cli.deploy import before_start
from app.cli.deploy.preparation import ENV_FILE, SECRETS, VOLUME
from app.cli.deploy.server import DeployError, step
from app.cli.dev import STATE
from app.cli.docker import LAST_LINES, Docker
from app.config import SLUG

FILE = "deploy/swarm.yml"
SERVICE = f"{SLUG}_app"


def roll_out(engine: Docker, built: str, registry: str | None) -> None:
    """Put a new version into the place of the one that serves, container by container.

    Args:
        engine: A manager's.
        built: The image, on the manager.
        registry: Where the other machines get it from; None when there are no others.

    Raises:
        DeployError: The new version did not start. The swarm has gone back to the old one.
        DockerError: A step failed. The old one serves on.
    """
    if engine.ask("info", "--format", "{{.Swarm.ControlAvailable}}") != "true":
        raise DeployError("This Docker is no manager of a swarm. Make it one: docker swarm init")
    # Each version has a name of its own, or nothing would tell the swarm that it is another.
    digest = engine.ask("image", "inspect", "--format", "{{.Id}}", built).removeprefix("sha256:")
    image = f"{registry.rstrip('/') + '/' if registry else ''}{SLUG}:{digest[:12]}"
    with step("Publish the image"):
        engine.do("tag", built, image)
        if registry:
            engine.do("push", "--quiet", image)
    once = ["run", "--rm", "--env-file", str(ENV_FILE), "--volume", f"{VOLUME}:/run/secrets:ro"]
    for prepare in before_start:
        prepare(partial(engine.do, *once, image))
    stack = Docker((), {**_settings(), "IMAGE": image}, engine.dry_run)
    with step("Update the swarm"):
        stack.do(
            *["stack", "deploy", "--detach=false", "--with-registry-auth"],
            *["--compose-file", FILE, "--compose-file", _secrets_file(), SLUG],
        )
    state = engine.ask("service", "inspect", "--format", "{{.UpdateStatus.State}}", SERVICE)
    if state.startswith("rollback"):
        raise DeployError(
            "The new version did not start, and the swarm has gone back to the old one. The log of the "
            f"new one ends with:\n{_last_words(engine, image)}"
        )


def roll_back(engine: Docker) -> None:
    """Go back to the version before.

    Args:
        engine: A manager's.

    Raises:
        DockerError: There is none.
    """
    with step("Go back"):
        engine.do("service", "rollback", "--detach=false", SERVICE)


def _last_words(engine: Docker, image: str) -> str:
    shown = "{{.ID}} {{.Image}} {{.CurrentState}}"
    tasks = [
        task.split()
        for task in engine.ask("service", "ps", "--format", shown, SERVICE).splitlines()
    ]
    # Another of the new ones may have been stopped before it said anything.
    failed = next(
        (task for task, ran, state, *_ in tasks if (ran, state) == (image, "Failed")), SERVICE
    )
    return engine.tried("service", "logs", "--raw", "--tail", str(LAST_LINES), failed)[1]


def _settings() -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(ENV_FILE).items()}


def _secrets_file() -> str:
    """Write what gives each file of `secrets/` to the application; a swarm's secrets never change, so their names do."""
    names = {}
    for path in sorted(SECRETS.iterdir()):
        digest = sha256(path.read_bytes()).hexdigest()[:12]
        names[path.name] = {"file": str(path.resolve()), "name": f"{SLUG}-{path.name}-{digest}"}
    STATE.mkdir(exist_ok=True)
    file = STATE / "swarm-secrets.json"
    content = {"services": {"app": {"secrets": list(names)}}, "secrets": names}
    file.write_text(json.dumps({"version": "3.9", **content}, indent=2))
    return str(file)
