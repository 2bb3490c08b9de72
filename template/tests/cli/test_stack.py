import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.docker import Docker, DockerError
from app.cli.main import app

runner = CliRunner()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that answers with what stands in a file, and notes what it was asked."""
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {tmp_path}/answer\nexit $(cat {tmp_path}/code)\n'
    )
    program.chmod(0o755)
    (tmp_path / "answer").touch()
    (tmp_path / "code").write_text("0")
    monkeypatch.setattr(shutil, "which", lambda _: str(program))
    return tmp_path


def test_addresses_of_what_can_be_opened(engine: Path) -> None:
    containers = [
        {"Service": "app", "Publishers": [{"PublishedPort": 8123}]},
        {"Service": "cache", "Publishers": [{"PublishedPort": 0}]},
        {"Service": "mail", "Publishers": [{"PublishedPort": 8025}]},
    ]
    (engine / "answer").write_text("\n".join(map(json.dumps, containers)))

    result = runner.invoke(app, ["up"])

    assert result.exit_code == 0, result.output
    shown = [line.split() for line in result.stdout.splitlines() if "http://" in line]
    assert shown == [["app", "http://127.0.0.1:8123/docs"], ["mail", "http://127.0.0.1:8025"]]
    assert "up --detach --build --wait" in (engine / "asked").read_text()


def test_data_is_thrown_away_only_when_agreed(engine: Path) -> None:
    assert runner.invoke(app, ["down", "--volumes"], input="n\n").exit_code == 1
    assert not (engine / "asked").exists()

    runner.invoke(app, ["down", "--volumes", "--yes"])

    assert "down --volumes" in (engine / "asked").read_text()


def test_logs(engine: Path) -> None:
    runner.invoke(app, ["logs", "app", "--follow", "--tail", "5"])

    assert "logs --tail 5 --follow app" in (engine / "asked").read_text()


def test_without_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    result = runner.invoke(app, ["up"])

    assert result.exit_code == 1
    assert "Docker is not installed. Get it from" in result.stderr


def test_docker_that_does_not_run(engine: Path) -> None:
    (engine / "code").write_text("1")
    (engine / "answer").write_text("Cannot connect to the Docker daemon.\n")

    result = runner.invoke(app, ["logs"])
    asked = runner.invoke(app, ["up"])

    assert result.exit_code == asked.exit_code == 1
    assert "Docker does not answer: Cannot connect to the Docker daemon." in asked.stderr


def test_failure_shows_the_last_lines(engine: Path) -> None:
    (engine / "code").write_text("3")
    (engine / "answer").write_text("".join(f"line {n}\n" for n in range(30)))

    with pytest.raises(DockerError, match="line 29") as caught:
        Docker().do("run", "it")

    assert "line 5\n" not in str(caught.value)


def test_dry_run(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker = Docker(("compose",), dry_run=True)

    docker.do("stop", "blue")
    docker.show("build")

    assert capsys.readouterr().out.splitlines() == [
        "$ docker compose stop blue",
        "$ docker compose build",
    ]
    assert not (engine / "asked").exists()
