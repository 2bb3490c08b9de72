import pytest
from pydantic import SecretStr, ValidationError

from app import database
from app.config import DatabaseSettings

URL = "postgresql+asyncpg://ada:pw@db.example.com:5432/shop"


class TestUrl:
    @pytest.mark.parametrize(
        ("given", "url"),
        [
            ("postgres://ada:pw@db.example.com:5432/shop", URL),
            ("postgresql://ada:pw@db.example.com:5432/shop", URL),
            (URL, URL),
            (f"{URL}?sslmode=require&channel_binding=prefer", f"{URL}?ssl=require"),
            (f"{URL}?connect_timeout=10&application_name=x", URL),
            (f"{URL}?ssl=true", f"{URL}?ssl=require"),
            ("postgres://localhost", "postgresql+asyncpg://localhost/postgres"),
        ],
    )
    def test_accepted(self, given: str, url: str) -> None:
        converted = DatabaseSettings(url=SecretStr(given)).url

        assert converted is not None
        assert converted.get_secret_value() == url

    @pytest.mark.parametrize(
        "given", ["mysql://root@localhost/x", "nonsense", "postgresql:///x", "postgres://h:99999"]
    )
    def test_rejected(self, given: str) -> None:
        with pytest.raises(ValidationError, match="such as postgresql://"):
            DatabaseSettings(url=SecretStr(given))

    def test_unknown_parameter(self) -> None:
        with pytest.raises(ValidationError, match="the unsupported parameter options"):
            DatabaseSettings(url=SecretStr(f"{URL}?options=-csearch_path%3Dx"))

    def test_invalid_sslmode(self) -> None:
        with pytest.raises(ValidationError, match=r"invalid sslmode\. Use one of allow, disable"):
            DatabaseSettings(url=SecretStr(f"{URL}?sslmode=yes"))

    def test_missing(self) -> None:
        [issue] = DatabaseSettings().production_issues()

        assert issue.variable == "DATABASE_URL"
        with pytest.raises(ValueError, match="DATABASE_URL"):
            database.create_engine(DatabaseSettings())
