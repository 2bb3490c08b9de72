import json
from pathlib import Path

import pytest
from fastship_tooling import stack
from fastship_tooling.docker import Docker
from typer.testing import CliRunner

from app.cli.main import app
from tests.tooling.fake_docker import FakeDocker

runner = CliRunner()


@pytest.fixture(autouse=True)
def fake_engine(folder: Path, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "Docker", lambda *_: docker)


def test_urls(docker: FakeDocker) -> None:
    containers = [
        {"Service": "app", "Publishers": [{"PublishedPort": 8123}]},
        {"Service": "cache", "Publishers": [{"PublishedPort": 0}]},
        {"Service": "worker", "Publishers": None},
        {"Service": "mail", "Publishers": [{"PublishedPort": 8025}]},
    ]
    docker.outputs["ps"] = "\n".join(map(json.dumps, containers))

    result = runner.invoke(app, ["up"])

    assert result.exit_code == 0, result.output
    shown = [line.split() for line in result.stdout.splitlines() if "http://" in line]
    assert shown == [["app", "http://127.0.0.1:8123/docs"], ["mail", "http://127.0.0.1:8025"]]
    assert ("up", "--detach", "--build", "--wait") in docker.commands


def test_missing_env_file(folder: Path) -> None:
    (folder / ".env.example").write_text("A=1\n")

    runner.invoke(app, ["up"])

    assert (folder / ".env").read_text() == "A=1\n"


def test_watch(docker: FakeDocker) -> None:
    runner.invoke(app, ["up", "--watch"])

    assert docker.commands[-1] == ("watch", "--no-up")


def test_unhealthy_container(docker: FakeDocker) -> None:
    docker.fail("up", "container app is unhealthy")

    result = runner.invoke(app, ["up"])

    assert result.exit_code == 1
    assert "docker compose ps --all" in result.stderr


def test_stopped_engine(docker: FakeDocker) -> None:
    docker.fail("version", "Cannot connect to the Docker daemon.")

    result = runner.invoke(app, ["up"])

    assert result.exit_code == 1
    assert "Docker does not answer: Cannot connect to the Docker daemon." in result.stderr


def test_failed_logs(docker: FakeDocker) -> None:
    docker.fail("logs", "no such service")

    assert runner.invoke(app, ["logs"]).exit_code == 1


def test_missing_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "Docker", Docker)
    monkeypatch.setattr("shutil.which", lambda _: None)

    result = runner.invoke(app, ["up"])

    assert result.exit_code == 1
    assert "Docker is not installed" in result.stderr


def test_down(docker: FakeDocker) -> None:
    runner.invoke(app, ["down"])

    assert docker.commands[-1] == ("down",)


def test_down_with_volumes(docker: FakeDocker) -> None:
    declined = runner.invoke(app, ["down", "--volumes"], input="n\n")
    assert docker.commands == []
    runner.invoke(app, ["down", "--volumes", "--yes"])

    assert declined.exit_code == 1
    assert docker.commands[-1] == ("down", "--volumes")


def test_logs(docker: FakeDocker) -> None:
    runner.invoke(app, ["logs", "app", "--follow", "--tail", "5"])

    assert docker.commands[-1] == ("logs", "--tail", "5", "--follow", "app")


@pytest.mark.parametrize("command", ["up", "down", "logs"])
def test_engine_that_does_not_run(docker: FakeDocker, command: str) -> None:
    docker.fail("version", "Cannot connect to the Docker daemon.")

    result = runner.invoke(app, [command])

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "Start Docker and try again."
