from pathlib import Path

import pytest
from fastship_tooling.database import psql
from fastship_tooling.database.postgres import PostgresError, find_binaries

URL = "postgresql+asyncpg://ada:pw@db.example.com:5432/shop"
ADDRESS = "postgresql://ada@db.example.com:5432/shop"


@pytest.fixture(autouse=True)
def no_system_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setenv("PATH", "")


def test_without_tls() -> None:
    client = psql.client(URL)

    assert client.folder == find_binaries()
    assert client.address == ADDRESS
    assert client.environment == {"PGPASSWORD": "pw"}


def test_without_password() -> None:
    assert psql.client(URL.replace(":pw", "")).environment == {}


def test_with_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The programs of the wheels are built without TLS.
    for name in ("pg_dump", "psql"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    client = psql.client(f"{URL}?ssl=verify-full")

    assert client.folder == tmp_path.resolve()
    assert client.address == f"{ADDRESS}?sslmode=verify-full"


def test_incomplete_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pg_dump").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PostgresError, match="requires TLS"):
        psql.client(f"{URL}?ssl=require")


def test_given_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BIN", "/opt/pg")

    assert psql.client(f"{URL}?ssl=require").folder == Path("/opt/pg")


def test_missing_programs() -> None:
    with pytest.raises(PostgresError, match="apt install postgresql-client"):
        psql.client(f"{URL}?ssl=require")
