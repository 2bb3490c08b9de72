import pytest
from typer.testing import CliRunner

from app.cli import main
from app.cli.console import console
from app.cli.main import app
from app.config import VERSION

runner = CliRunner()


def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without tooling, as in an image. In a checkout, the version comes from git.
    monkeypatch.setattr(main, "entry_points", lambda group: [])

    assert runner.invoke(app, ["--version"]).stdout.strip() == VERSION


def test_fields_are_not_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    console.print("due:date:filter")

    assert capsys.readouterr().out == "due:date:filter\n"


def test_serve_with_invalid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "production")
    monkeypatch.setenv("APP_DEBUG", "true")

    result = runner.invoke(app, ["serve"])

    assert result.exit_code == 1
    assert "APP_DEBUG" in result.stderr
    assert "Traceback" not in result.output
