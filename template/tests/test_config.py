import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from app.config import Settings
from app.kit.settings import SettingsError, server_url

DEVELOPMENT = {"APP_ENVIRONMENT": "development"}


def load(
    environ: dict[str, str], env_file: Path | None = None, secrets_dir: Path | None = None
) -> Settings:
    return Settings.load(environ, env_file=env_file, secrets_dir=secrets_dir)


def issues_of(environ: dict[str, str], env_file: Path | None = None) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load(environ, env_file)
    for variable, advice in caught.value.issues:
        assert f"{variable}: {advice}" in str(caught.value)
    return dict(caught.value.issues)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_example_is_valid(env_file: Path) -> None:
    text = Path(".env.example").read_text().replace("change-me", "0123456789abcdef" * 3)
    env_file.write_text(text)

    settings = load({}, env_file)

    assert settings.app.environment == "development"
    names = {name for group in settings.groups().values() for name in group.variables().values()}
    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE)) <= names


def test_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("LOG_LEVEL", "debug")

    assert Settings.load(env_file=None).log.level == "DEBUG"


def test_lower_case_names(env_file: Path) -> None:
    env_file.write_text("app_environment=development\nlog_level=ERROR\n")

    assert load({}, env_file).log.level == "ERROR"
    assert load({"log_level": "WARNING"}, env_file).log.level == "WARNING"


def test_environment_has_precedence_over_file(env_file: Path) -> None:
    assert load(DEVELOPMENT, env_file).log.level == "INFO"  # the file may be missing
    env_file.write_text("APP_ENVIRONMENT=development\nLOG_LEVEL=ERROR\n")

    assert load({"LOG_LEVEL": "WARNING"}, env_file).log.level == "WARNING"


class TestProduction:
    def test_every_issue_is_reported(self) -> None:
        issues = issues_of({"APP_DEBUG": "true", "APP_PORT": "many", "LOG_LEVEL": "loud"})

        assert issues["APP_PORT"] == (
            "Input should be a valid integer, unable to parse string as an integer."
        )
        assert "'DEBUG', 'INFO'" in issues["LOG_LEVEL"]
        missing = {
            issue.variable
            for group in Settings.groups().values()
            for issue in group().production_issues()
        }
        assert set(issues) == {"APP_DEBUG", "APP_PORT", "LOG_LEVEL"} | missing

    def test_invalid_value_is_reported_once(self) -> None:
        advice = issues_of({"APP_CORS_ORIGINS": "example.com"})["APP_CORS_ORIGINS"]

        assert advice == "An origin is a scheme and a host, such as https://example.com."


@pytest.mark.parametrize(
    ("value", "addresses"),
    [("10.0.0.0/8, ::1,", ("10.0.0.0/8", "::1")), ("*", ("*",)), ("", ("127.0.0.1",))],
)
def test_proxies(value: str, addresses: tuple[str, ...]) -> None:
    settings = load(DEVELOPMENT | {"APP_FORWARDED_ALLOW_IPS": value})

    assert settings.app.forwarded_allow_ips == addresses


def test_host_names_are_lower_case() -> None:
    hosts = "API.Example.com, *.example.com, [::1], *"

    settings = load(DEVELOPMENT | {"APP_TRUSTED_HOSTS": hosts})

    assert settings.app.trusted_hosts == ("api.example.com", "*.example.com", "[::1]", "*")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("APP_FORWARDED_ALLOW_IPS", "proxy.internal"),
        ("APP_FORWARDED_ALLOW_IPS", "10.0.0.1/8"),
        ("APP_FORWARDED_ALLOW_IPS", "*, 10.0.0.1"),
        ("APP_TRUSTED_HOSTS", "https://api.example.com"),
        ("APP_TRUSTED_HOSTS", "api.example.com:443"),
        ("APP_TRUSTED_HOSTS", "api.example.com/"),
        ("APP_TRUSTED_HOSTS", ".example.com"),
        ("APP_TRUSTED_HOSTS", "::1"),
        ("APP_TRUSTED_HOSTS", "münchen.example"),
    ],
)
def test_values_without_effect(variable: str, value: str) -> None:
    assert set(issues_of(DEVELOPMENT | {variable: value})) == {variable}


class Server(BaseModel):
    url: Annotated[SecretStr, server_url("Set it to a URL.", "unix", "smtp")]


@pytest.mark.parametrize("url", ["smtp://key:a%2Fb@host:587", "smtp://host", "unix:///run/x"])
def test_url_of_a_server(url: str) -> None:
    assert Server(url=SecretStr(url)).url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        *("smtps://host", "smtp:host", "host:25", "smtp://host:abc", "smtp://host:99999"),
        *("smtp://:pass/word@host", "smtp://key:12/x@host", "smtp://key:12?4@host", "unix://"),
        *("smtp://key:12#4@host",),
    ],
)
def test_invalid_url_of_a_server(url: str) -> None:
    with pytest.raises(ValidationError, match="Set it to a URL"):
        Server(url=SecretStr(url))


class TestFiles:
    """Docker and Kubernetes provide secrets as files."""

    def test_named_file(self, tmp_path: Path) -> None:
        (tmp_path / "level").write_text("WARNING\n")

        settings = load(DEVELOPMENT | {"LOG_LEVEL_FILE": str(tmp_path / "level")})

        assert settings.log.level == "WARNING"

    def test_secrets_folder(self, tmp_path: Path) -> None:
        (tmp_path / "LOG_LEVEL").write_text("WARNING\n")

        assert load(DEVELOPMENT, secrets_dir=tmp_path).log.level == "WARNING"
        variable = DEVELOPMENT | {"LOG_LEVEL": "ERROR"}
        assert load(variable, secrets_dir=tmp_path).log.level == "ERROR"

    def test_binary_file(self, tmp_path: Path) -> None:
        (tmp_path / "LOG_LEVEL").write_bytes(b"\xff")

        with pytest.raises(SettingsError, match="LOG_LEVEL: cannot be read: it is not UTF-8"):
            load(DEVELOPMENT, secrets_dir=tmp_path)

    def test_missing_file(self) -> None:
        issues = issues_of(DEVELOPMENT | {"LOG_LEVEL_FILE": "/nowhere/level"})

        assert issues == {"/nowhere/level": "cannot be read: No such file or directory."}
