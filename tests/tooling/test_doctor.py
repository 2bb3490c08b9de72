import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from fastship_tooling import doctor
from fastship_tooling.doctor import Finding
from fastship_tooling.project import HAS_DATABASE, HAS_REDIS
from typer.testing import CliRunner

from app.cli.console import CLIError
from app.cli.main import app
from tests.tooling.conftest import Git

runner = CliRunner()


def failing_check() -> Finding:
    raise CLIError("The file is missing:\n  create it")


@pytest.mark.parametrize(
    ("check", "code", "lines"),
    [
        (lambda: Finding("all is well"), 0, ["ok    all is well"]),
        (
            lambda: Finding("it is slow", "wait", required=False),
            0,
            ["note  it is slow", "      -> wait"],
        ),
        (lambda: Finding("it is missing", "add it"), 1, ["FAIL  it is missing", "      -> add it"]),
        (failing_check, 1, ["FAIL  The file is missing", "      -> create it"]),
    ],
    ids=["ok", "note", "failure", "error"],
)
def test_output(
    monkeypatch: pytest.MonkeyPatch, check: object, code: int, lines: list[str]
) -> None:
    monkeypatch.setattr(doctor, "checks", lambda: iter([check]))

    result = runner.invoke(app, ["doctor"])

    assert result.exit_code == code
    assert result.stdout.splitlines() == lines


class TestChecks:
    def names(self) -> list[str]:
        return [check.__name__.removeprefix("check_") for check in doctor.checks()]

    @pytest.fixture(autouse=True)
    def no_environment(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("APP_ENVIRONMENT", raising=False)

    def test_new_checkout(self) -> None:
        assert self.names() == ["uv", "python", "lock", "git", "code", "docker", "env_file"]

    def test_invalid_settings(self, folder: Path) -> None:
        (folder / ".env").write_text("APP_ENVIRONMENT=development\nAPP_PORT=many\n")

        assert self.names()[6:] == ["env_file", "settings"]

    def test_valid_settings(self, folder: Path) -> None:
        (folder / ".env").write_text("APP_ENVIRONMENT=development\n")

        database = ["<lambda>"] if HAS_DATABASE else []
        redis = ["redis"] if HAS_REDIS else []
        assert self.names()[7:] == ["settings", "port", *database, *redis]

    def test_production(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("APP_ENVIRONMENT", "production")

        assert self.names()[-1] == "settings"


@pytest.mark.usefixtures("folder")
class TestEnvironment:
    def test_nothing_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)

        assert doctor.check_uv().required
        assert doctor.check_lock() == Finding("uv.lock is missing", "uv lock")
        assert not doctor.check_docker().required
        assert not doctor.check_git().required

    def test_no_repository(self, git: Git) -> None:
        assert doctor.check_git().summary == "no git repository"
        git("init")
        assert doctor.check_git() == Finding("git repository")

    def test_outdated_lock(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text("[project]\nname = 'shop'\nversion = '1'\n")
        (folder / "uv.lock").write_text("version = 1\n")

        assert doctor.check_lock().summary == "uv.lock is outdated"

    def test_stopped_docker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: sys.executable)

        finding = doctor.check_docker()

        assert finding.summary == "Docker is not running"
        assert not finding.required

    def test_old_python(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text('[project]\nrequires-python = ">=9.1"\n')

        assert doctor.check_python().fix == "uv sync"

    def test_supported_python(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.12"\n')

        assert doctor.check_python().fix == ""

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
    def test_env_file(self, folder: Path) -> None:
        file = folder / ".env"
        assert doctor.check_env_file().summary == ".env is missing"
        file.touch(0o644)
        assert doctor.check_env_file().fix == "chmod 600 .env"
        file.chmod(0o600)
        assert doctor.check_env_file() == Finding(".env exists")


@pytest.mark.usefixtures("folder")
class TestServices:
    @pytest.fixture(autouse=True)
    def development(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("APP_ENVIRONMENT", "development")
        monkeypatch.setenv("APP_PORT", "8765")

    def test_free_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fastship_tooling.ports.check_port_is_free", lambda *_: None)

        assert doctor.check_port() == Finding("port 8765 is free")

    def test_used_port(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        def check(*_: object) -> None:
            raise OSError

        monkeypatch.setattr("fastship_tooling.ports.check_port_is_free", check)

        by_another_program = doctor.check_port()
        (folder / ".dev").mkdir()
        (folder / ".dev/dev.txt").write_text("1, http://127.0.0.1:8765")
        by_dev = doctor.check_port()

        assert "--port 8766" in by_another_program.fix
        assert not by_another_program.required
        assert by_dev == Finding("port 8765 is used by `dev` of this project")

    @pytest.mark.skipif(not HAS_REDIS, reason="the project has no Redis")
    def test_redis(self, monkeypatch: pytest.MonkeyPatch) -> None:
        default = doctor.check_redis()
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
        unavailable = doctor.run_check(doctor.check_redis)

        assert "in-memory" in default.summary
        assert unavailable.summary.startswith("Redis is unavailable: ")
        assert "remove REDIS_URL" in unavailable.fix

    @pytest.mark.skipif(not HAS_REDIS, reason="the project has no Redis")
    def test_available_redis(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6379/0")
        monkeypatch.setattr(asyncio, "run", lambda ping: ping.close())

        assert doctor.check_redis() == Finding("Redis is available")
