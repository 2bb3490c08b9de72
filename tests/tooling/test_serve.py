from unittest.mock import MagicMock

import pytest
import uvicorn
from typer.testing import CliRunner

from app import server
from app.cli import serve
from app.cli.main import app
from app.config import AppSettings, LogSettings
from app.kit.settings import BaseAppSettings

runner = CliRunner()


class BareSettings(BaseAppSettings):
    """The settings that every application has."""

    app: AppSettings
    log: LogSettings


def test_serve_options(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, object] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **given: options.update(given))
    settings = MagicMock(load=lambda: BareSettings.load(env_file=None))
    monkeypatch.setattr(serve, "load_settings", settings.load)
    monkeypatch.setattr(serve, "db", MagicMock(), raising=False)
    # In the same process.
    monkeypatch.setattr(server, "start", server.run)
    monkeypatch.setattr(server, "Settings", settings)
    monkeypatch.setattr(server, "configure_logging", MagicMock())
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("PORT", "9123")  # set by hosting providers
    monkeypatch.setenv("APP_PORT", "8000")
    monkeypatch.setenv("APP_WORKERS", "1")

    result = runner.invoke(app, ["serve", "--workers", "2"])

    assert result.exit_code == 0, result.output
    assert (options["port"], options["workers"]) == (9123, 2)
