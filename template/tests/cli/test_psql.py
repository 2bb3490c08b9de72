from pathlib import Path

import pytest

from app.cli import psql
from app.cli.postgres import PostgresError, find_binaries


class TestClient:
    URL = "postgresql+asyncpg://ada:pw@db.example.com:5432/shop"

    def test_here(self) -> None:
        client = psql.client(self.URL)

        assert client.folder == find_binaries()
        assert client.address == "postgresql://ada@db.example.com:5432/shop"
        assert client.environment == {"PGPASSWORD": "pw"}

    def test_encrypted(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        # The wheels' programs would refuse: they were built without.
        for name in ("pg_dump", "psql"):
            (tmp_path / name).touch(mode=0o755)
        monkeypatch.delenv("PG_BIN", raising=False)
        monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
        monkeypatch.setenv("PATH", str(tmp_path))

        client = psql.client(f"{self.URL}?ssl=verify-full")

        assert client.folder == tmp_path.resolve()
        assert client.address == "postgresql://ada@db.example.com:5432/shop?sslmode=verify-full"

    def test_none_that_can_encrypt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PG_BIN", raising=False)
        monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
        monkeypatch.setenv("PATH", "")

        with pytest.raises(PostgresError, match="apt install postgresql-client"):
            psql.client(f"{self.URL}?ssl=require")
