import pytest
from pydantic import SecretStr, ValidationError

from app.config import AuthSettings


@pytest.mark.parametrize("key", ["change-me", "x" * 31])
def test_short_key(key: str) -> None:
    with pytest.raises(ValidationError, match="shorter than 32 bytes") as caught:
        AuthSettings(secret_key=SecretStr(key))

    assert key not in str(caught.value)


def test_predictable_key() -> None:
    with pytest.raises(ValidationError, match="too few different characters"):
        AuthSettings(secret_key=SecretStr("ab" * 20))


def test_production() -> None:
    [issue] = AuthSettings().production_issues()

    assert issue.variable == "SECRET_KEY"
    assert "secrets.token_urlsafe" in issue.advice


def test_key_is_not_printed() -> None:
    assert "0123456789" not in repr(AuthSettings(secret_key=SecretStr("0123456789" * 4)))
