import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import openapi
from app.cli.main import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "openapi.json"
    monkeypatch.setattr(openapi, "FILE", path)
    return path


def test_writes_what_the_code_says(file: Path) -> None:
    assert runner.invoke(app, ["openapi"]).exit_code == 0

    described = json.loads(file.read_text())
    assert "/api/v1/items" in described["paths"]
    # It would change with every commit.
    assert described["info"]["version"] == "1"


def test_settings_of_this_machine_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = openapi.render()
    monkeypatch.setenv("APP_NAME", "Mine")
    monkeypatch.setenv("APP_ENVIRONMENT", "production")

    assert openapi.render() == usual
    assert os.environ["APP_NAME"] == "Mine"


def test_check_changes_nothing(file: Path) -> None:
    missing = runner.invoke(app, ["openapi", "--check"])
    assert not file.exists()
    runner.invoke(app, ["openapi"])
    current = runner.invoke(app, ["openapi", "--check"])
    file.write_text(file.read_text().replace("/items", "/things"))
    stale = runner.invoke(app, ["openapi", "--check"])

    assert [missing.exit_code, current.exit_code, stale.exit_code] == [1, 0, 1]
    assert "Renew it" in stale.stderr
    assert "/things" in file.read_text()


def test_routes() -> None:
    result = runner.invoke(app, ["routes"])

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    [create] = [row for row in rows if row[:2] == ["POST", "/api/v1/items"]]
    assert create[-1] == "app.items.router:create_item"
    assert ["GET", "/health/live", "public", "app.health.router:live"] in rows
