import pytest
from pydantic import ValidationError

from app.config import AuthSettings, Settings
from app.kit.settings import SettingsError


@pytest.mark.parametrize("key", ["change-me", "x" * 31])
def test_short_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("SECRET_KEY", key)

    with pytest.raises(ValidationError, match="shorter than 32 bytes") as caught:
        AuthSettings()

    assert key not in str(caught.value)


def test_production_needs_a_key() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY: is not set; make one with"):
        Settings.load(None)


def test_key_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "k" * 40)

    assert "k" * 40 not in repr(AuthSettings())
