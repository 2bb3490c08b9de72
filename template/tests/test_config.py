import re
from pathlib import Path

import pytest

from app.config import Settings
from app.kit.settings import SettingsError


def load_error(env_file: Path | None = None) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Settings.load(env_file)
    return caught.value


@pytest.fixture
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_example_is_complete_for_development(env_file: Path) -> None:
    text = Path(".env.example").read_text().replace("change-me", "x" * 40)
    env_file.write_text(text)

    settings = Settings.load(env_file)

    assert settings.app.environment == "development"
    names = {name for group in settings.groups().values() for name in group.variables().values()}
    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE)) <= names


def test_environment_beats_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("APP_ENVIRONMENT=development\nLOG_LEVEL=ERROR\n")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")

    assert Settings.load(env_file).log.level == "WARNING"


def test_production_is_the_default_and_names_every_fault_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_DEBUG", "true")
    monkeypatch.setenv("APP_PORT", "many")
    monkeypatch.setenv("LOG_LEVEL", "loud")

    faults = {fault.variable: fault.advice for fault in load_error().faults}

    assert faults["APP_PORT"] == (
        "Input should be a valid integer, unable to parse string as an integer."
    )
    assert "'DEBUG', 'INFO'" in faults["LOG_LEVEL"]
    missing = {
        fault.variable
        for name, group in Settings.groups().items()
        if name not in {"app", "log"}
        for fault in group().production_faults()
    }
    assert set(faults) == {"APP_PORT", "LOG_LEVEL"} | missing


def test_production_needs_to_know_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "APP_TRUSTED_HOSTS: is not set" in str(load_error())


def test_production_refuses_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DEBUG", "true")

    assert "APP_DEBUG" in str(load_error())


@pytest.mark.usefixtures("development")
class TestNamesInTheFile:
    @pytest.mark.parametrize(
        ("line", "advice"),
        [
            ("LOG_LEVLE=INFO", "LOG_LEVLE: is no setting ({}); did you mean LOG_LEVEL?"),
            ("APP_COLOUR=red", "APP_COLOUR: is no setting ({}); there are APP_NAME, "),
        ],
    )
    def test_slip(self, env_file: Path, line: str, advice: str) -> None:
        env_file.write_text(f"{line}\n")

        assert advice.format(env_file) in str(load_error(env_file))

    def test_of_other_programs(self, env_file: Path) -> None:
        env_file.write_text("COMPOSE_PROJECT_NAME=x\nAWS_REGION=eu-central-1\n")

        Settings.load(env_file)

    def test_missing_file(self, env_file: Path) -> None:
        Settings.load(env_file)


@pytest.mark.usefixtures("development")
@pytest.mark.parametrize(
    ("value", "addresses"),
    [("10.0.0.0/8, ::1,", ("10.0.0.0/8", "::1")), ("*", ("*",)), ("", ("127.0.0.1",))],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, value: str, addresses: tuple[str, ...]) -> None:
    monkeypatch.setenv("APP_FORWARDED_ALLOW_IPS", value)

    assert Settings.load(None).app.forwarded_allow_ips == addresses


@pytest.mark.usefixtures("development")
def test_proxy_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_FORWARDED_ALLOW_IPS", "proxy.internal")

    assert "APP_FORWARDED_ALLOW_IPS" in str(load_error())


@pytest.mark.usefixtures("development")
class TestFiles:
    """A value in a file of its own, as Docker and Kubernetes bring secrets."""

    def test_file_that_a_variable_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "level").write_text("WARNING\n")
        monkeypatch.setenv("LOG_LEVEL_FILE", str(tmp_path / "level"))

        assert Settings.load(None).log.level == "WARNING"

    def test_file_in_the_folder_of_secrets(self, tmp_path: Path) -> None:
        (tmp_path / "LOG_LEVEL").write_text("WARNING\n")

        assert Settings.load(None, tmp_path).log.level == "WARNING"

    def test_variable_beats_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "LOG_LEVEL").write_text("WARNING\n")
        monkeypatch.setenv("LOG_LEVEL", "ERROR")

        assert Settings.load(None, tmp_path).log.level == "ERROR"

    def test_file_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOG_LEVEL_FILE", "/nowhere/level")

        [fault] = load_error().faults

        assert fault.variable == "/nowhere/level"
        assert "No such file" in fault.advice
