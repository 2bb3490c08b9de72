import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.config import VERSION

runner = CliRunner()


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).stdout.strip() == VERSION


def test_serve_with_invalid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "production")
    monkeypatch.setenv("APP_DEBUG", "true")

    result = runner.invoke(app, ["serve"])

    assert result.exit_code == 1
    assert "APP_DEBUG" in result.stderr
    assert "Traceback" not in result.output
