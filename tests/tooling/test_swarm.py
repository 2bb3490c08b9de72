import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from fastship_tooling.deploy import server, swarm
from fastship_tooling.docker import Docker, DockerError
from fastship_tooling.project import HAS_DATABASE

from app.config import SLUG
from tests.tooling.fake_docker import FakeDocker

IMAGE = f"{SLUG}:0123456789ab"


@pytest.fixture(autouse=True)
def secrets(folder: Path) -> Path:
    secrets = folder / "deploy/secrets"
    secrets.mkdir(parents=True)
    (secrets / "SOME_KEY").write_text("something")
    settings = 'REPLICAS=3\nDOMAIN=api.example.com\nLOG_LEVEL="WARNING"\nAPP_NAME=$5\n'
    (folder / "deploy/production.env").write_text(settings)
    return secrets


@pytest.fixture
def variables() -> dict[str, str]:
    return {}


@pytest.fixture
def manager(
    docker: FakeDocker, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> FakeDocker:
    """Return a swarm manager. `variables` are those of the stack."""
    docker.outputs.update({"info": "true", "image inspect": "sha256:0123456789abcdef"})

    def stack(_options: object, environment: dict[str, str], _dry_run: bool) -> Docker:
        variables.update(environment)
        return docker

    monkeypatch.setattr(swarm, "Docker", stack)
    monkeypatch.setattr(swarm, "copy_secrets", lambda *_: None)
    return docker


def changes(docker: FakeDocker) -> list[tuple[str, ...]]:
    verbs = {"tag", "push", "run", "stack"}
    return [command for command in docker.commands if command[0] in verbs]


def test_no_manager(docker: FakeDocker) -> None:
    docker.outputs["info"] = "false"

    with pytest.raises(server.DeployError, match="docker swarm init"):
        swarm.roll_out(docker, "next", None)

    assert changes(docker) == []


def test_stopped_engine(docker: FakeDocker) -> None:
    docker.fail("info", "Cannot connect to the Docker daemon.")

    with pytest.raises(DockerError, match="Cannot connect"):
        swarm.roll_out(docker, "next", None)


def test_registry(
    manager: FakeDocker, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not HAS_DATABASE:
        return
    monkeypatch.setattr(server, "HAS_DATABASE", True)

    swarm.roll_out(manager, "next", "registry.example.com/acme/")

    name = f"registry.example.com/acme/{IMAGE}"
    tag, push, _current, migrate, stack = changes(manager)
    assert tag == ("tag", "next", name)
    assert push[-1] == name
    assert migrate[-4:] == (name, SLUG, "db", "upgrade")
    assert ("--env", "APP_TRUSTED_HOSTS") in pairwise(migrate)
    assert stack[:2] == ("stack", "deploy")
    files = [Path(path) for option, path in pairwise(stack) if option == "-c"]
    services = {name for file in files for name in yaml.safe_load(file.read_text())["services"]}
    assert services == {"app", "worker"} if HAS_DATABASE else {"app"}
    assert variables["IMAGE"] == name
    assert variables["REPLICAS"] == "3"
    assert variables["APP_TRUSTED_HOSTS"] == "api.example.com"
    environment = json.loads(files[-1].read_text())["services"]["app"]["environment"]
    assert (environment["LOG_LEVEL"], environment["APP_NAME"]) == ("WARNING", "$$5")


def test_single_node(manager: FakeDocker, variables: dict[str, str]) -> None:
    swarm.roll_out(manager, "next", None)

    assert [command[0] for command in changes(manager)] == ["tag", "stack"]
    assert variables["IMAGE"] == IMAGE


def test_failed_migration(manager: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    if not HAS_DATABASE:
        return
    monkeypatch.setattr(server, "HAS_DATABASE", True)
    manager.fail("run", "column already exists")

    with pytest.raises(server.DeployError, match=r"The migration failed\."):
        swarm.roll_out(manager, "next", None)

    [run] = [command for command in manager.commands if command[0] == "run"]
    assert "volume-subpath=migrations" in run[run.index("--mount") + 1]
    assert "stack" not in {command[0] for command in manager.commands}


def test_automatic_rollback(manager: FakeDocker) -> None:
    manager.outputs["service inspect"] = "rollback_completed"
    manager.outputs["service ps"] = f"a {SLUG}:old Running\nb {IMAGE} Shutdown\nc {IMAGE} Failed"
    manager.outputs["service logs"] = "the end of the log"

    with pytest.raises(server.DeployError, match=r"has rolled back(.|\n)*the end of the log"):
        swarm.roll_out(manager, "next", None)

    assert manager.commands[-1][-1] == "c"  # the task that failed


def test_rollback(manager: FakeDocker) -> None:
    manager.outputs["service inspect"] = "yes"

    swarm.roll_back(manager)

    names = ["app", "worker"] if HAS_DATABASE else ["app"]
    assert [command for command in manager.commands if command[1] != "inspect"] == [
        ("service", "rollback", "--detach=false", f"{SLUG}_{name}") for name in names
    ]


@pytest.mark.skipif(not HAS_DATABASE, reason="has no worker")
def test_rollback_to_a_version_without_worker(manager: FakeDocker) -> None:
    swarm.roll_back(manager)

    assert manager.commands[-1] == ("service", "scale", "--detach=false", f"{SLUG}_worker=0")


def test_changed_secret(secrets: Path) -> None:
    before = json.loads(Path(swarm._stack_file({})).read_text())
    (secrets / "SOME_KEY").write_text("something else")
    (secrets / "migrations").mkdir()  # not for the application
    after = json.loads(Path(swarm._stack_file({})).read_text())

    assert before["services"]["app"]["secrets"] == ["SOME_KEY"]
    assert {str(service["secrets"]) for service in after["services"].values()} == {"['SOME_KEY']"}
    # Swarm secrets are immutable: a new content needs a new name.
    assert before["secrets"]["SOME_KEY"]["name"] != after["secrets"]["SOME_KEY"]["name"]


def test_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    docker = FakeDocker(dry_run=True, outputs={"info": "true"})

    swarm.roll_out(docker, "next", None)

    assert changes(docker) == []
    assert f"$ docker tag next {SLUG}:ID" in capsys.readouterr().out


def test_settings(folder: Path) -> None:
    (folder / "deploy/production.env").write_text("A=\nB=1\n")

    assert swarm._settings() == {"A": "", "B": "1", "APP_TRUSTED_HOSTS": ""}


@pytest.mark.parametrize(
    ("lines", "hosts"),
    [("DOMAIN=a.example.com", "a.example.com"), ("DOMAIN=a\nAPP_TRUSTED_HOSTS=*", "*")],
)
def test_trusted_hosts(folder: Path, lines: str, hosts: str) -> None:
    (folder / "deploy/production.env").write_text(lines)

    assert swarm._settings()["APP_TRUSTED_HOSTS"] == hosts
