import os
from pathlib import Path

import pytest
from fastship_tooling.settings import (
    default_to_development,
    load_settings,
    secret_variables,
    typos,
)

from app.cli.console import CLIError
from app.config import Settings

SECRETS = {"DATABASE_URL", "MAIL_SMTP_URL", "REDIS_URL", "SECRET_KEY", "SENTRY_DSN"}


@pytest.fixture(autouse=True)
def env_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    return folder / ".env"


class TestTypos:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("LOG_LEVLE=INFO", "LOG_LEVLE: is not a setting (.env). Did you mean LOG_LEVEL?"),
            ("APP_COLOR=red", "APP_COLOR: is not a setting (.env). Settings: APP_NAME, "),
            ("log_levle=INFO", "LOG_LEVLE: is not a setting (.env). Did you mean LOG_LEVEL?"),
            ("app_color=red", "APP_COLOR: is not a setting (.env). Settings: APP_NAME, "),
            ("LOG_COLOR_FILE=x", "LOG_COLOR_FILE: is not a setting (.env). Settings: LOG_LEVEL, "),
        ],
    )
    def test_misspelled_name(self, env_file: Path, line: str, message: str) -> None:
        env_file.write_text(f"{line}\n")

        with pytest.raises(CLIError) as caught:
            load_settings()

        assert message in str(caught.value)

    @pytest.mark.parametrize(
        "line",
        [
            "COMPOSE_PROJECT_NAME=x",
            "AWS_REGION=eu-central-1",
            "LOG_LEVEL_FILE=level",
            "log_level=INFO",
        ],
    )
    def test_valid_name(self, env_file: Path, line: str) -> None:
        env_file.write_text(f"{line}\n")

        assert list(typos()) == []

    def test_missing_file(self) -> None:
        assert list(typos()) == []


class TestDefaultToDevelopment:
    @pytest.fixture(autouse=True)
    def environ(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("APP_ENVIRONMENT", "DATABASE_URL"):
            # `default_to_development` sets the variable. Setting it first undoes that at the end.
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)

    def test_new_checkout(self) -> None:
        default_to_development()

        assert os.environ["APP_ENVIRONMENT"] == "development"

    def test_given_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("APP_ENVIRONMENT", "production")

        default_to_development()

        assert os.environ["APP_ENVIRONMENT"] == "production"

    def test_env_file(self, env_file: Path) -> None:
        env_file.touch()

        default_to_development()

        assert "APP_ENVIRONMENT" not in os.environ

    def test_configured_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # It may be that of production, so the rules of production apply.
        monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.com/shop")

        default_to_development()

        assert "APP_ENVIRONMENT" not in os.environ


class TestLoadSettings:
    def test_success(self, env_file: Path) -> None:
        env_file.write_text("LOG_LEVEL=WARNING\nAWS_REGION=eu-central-1\n")

        assert load_settings().log.level == "WARNING"

    def test_all_issues(self, env_file: Path) -> None:
        env_file.write_text("APP_PORT=many\nLOG_LEVLE=INFO\n")

        with pytest.raises(CLIError, match="The settings are invalid:") as caught:
            load_settings()

        assert "APP_PORT: Input should be a valid integer" in str(caught.value)
        assert "LOG_LEVLE: is not a setting" in str(caught.value)
        assert str(caught.value).endswith("\nCorrect them in .env, or in the environment.")

    def test_line_without_name(self, env_file: Path) -> None:
        env_file.write_text("LOG_LEVEL=WARNING\nthree words here\n")

        with pytest.raises(CLIError, match=r"  \.env, line 2: is not NAME=value\.\n"):
            load_settings()

    def test_other_encoding(self, env_file: Path) -> None:
        env_file.write_bytes(b"LOG_LEVEL=\xff")

        with pytest.raises(CLIError, match=r"  \.env: cannot be read: it is not UTF-8\.\n"):
            load_settings()


def test_secret_variables() -> None:
    groups = Settings.groups().values()
    variables = {variable for group in groups for variable in group.variables().values()}

    assert secret_variables() == SECRETS & variables
