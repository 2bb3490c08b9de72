import json
import os
from pathlib import Path

import pytest
from fastship_tooling import openapi
from fastship_tooling.project import HAS_AUTH
from typer.testing import CliRunner

from app.cli.main import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "openapi.json"
    monkeypatch.setattr(openapi, "FILE", path)
    return path


def test_missing_file(file: Path) -> None:
    assert runner.invoke(app, ["openapi"]).exit_code == 0

    schema = json.loads(file.read_text())
    assert "/api/v1/items" in schema["paths"]
    # The version of the project changes with every commit.
    assert schema["info"]["version"] == "1"


def test_unchanged_file(file: Path) -> None:
    runner.invoke(app, ["openapi"])
    os.utime(file, (0, 0))

    runner.invoke(app, ["openapi"])

    assert file.stat().st_mtime == 0


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    default = openapi.render()
    monkeypatch.setenv("APP_NAME", "Mine")
    monkeypatch.setenv("APP_ENVIRONMENT", "production")

    assert openapi.render() == default
    assert os.environ["APP_NAME"] == "Mine"


def test_check(file: Path) -> None:
    missing = runner.invoke(app, ["openapi", "--check"])
    assert not file.exists()
    runner.invoke(app, ["openapi"])
    current = runner.invoke(app, ["openapi", "--check"])
    file.write_text(file.read_text().replace("/items", "/things"))
    outdated = runner.invoke(app, ["openapi", "--check"])

    assert [missing.exit_code, current.exit_code, outdated.exit_code] == [1, 0, 1]
    assert "openapi.json does not exist. Create it" in missing.stderr
    assert "is outdated. Update it and commit it: uv run acme-orders openapi" in " ".join(
        outdated.stderr.split()
    )
    assert "/things" in file.read_text()


def test_routes() -> None:
    result = runner.invoke(app, ["routes"])

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    access = "user" if HAS_AUTH else "public"
    assert ["POST", "/api/v1/items", access, "app.items.router:create_item"] in rows
    assert ["GET", "/health/live", "public", "app.health.router:live"] in rows
    if HAS_AUTH:
        users = ["GET", "/api/v1/auth/users", "superuser", "app.auth.admin_router:list_users"]
        assert users in rows
