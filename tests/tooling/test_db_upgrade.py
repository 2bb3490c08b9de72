"""`db upgrade` while other transactions hold locks, and while another migration runs."""

# ruff: noqa: F811
import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import asyncpg
import pytest
from typer.testing import CliRunner

from app import migrations
from app.cli.main import app
from tests.databases import execute
from tests.tooling.schema import add_revision, url, versions  # noqa: F401

runner = CliRunner()

ADD_COLUMN = 'op.add_column("items", sa.Column("size", sa.Integer))'
CREATE_INDEX = """\
with op.get_context().autocommit_block():
        op.create_index("items_title_idx", "items", ["title"], postgresql_concurrently=True)"""
UNTIL_CONTINUED = """
DO $$ BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'continued') LOOP
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$"""


@pytest.fixture(autouse=True)
def development(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", url)


@contextmanager
def locked(url: str, release: Event) -> Iterator[None]:
    """Lock the table `items`, like a long transaction, until an event."""
    ready = Event()

    async def hold() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        async with connection.transaction():
            await connection.execute("LOCK TABLE items IN ACCESS SHARE MODE")
            ready.set()
            await asyncio.to_thread(release.wait)
        await connection.close()

    thread = Thread(target=asyncio.run, args=(hold(),))
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        release.set()
        thread.join()


class TestLockTimeout:
    @pytest.fixture(autouse=True)
    def fast(self, versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        add_revision(versions, "a", ADD_COLUMN)
        monkeypatch.setattr(migrations, "LOCK_TIMEOUT_SECONDS", 0.1)
        monkeypatch.setattr(migrations, "PAUSES", (0.1,) * 2)

    def test_another_attempt(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        release = Event()

        class Release(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                release.set()

        handler = Release()
        migrations.log.addHandler(handler)
        try:
            with locked(url, release):
                migrations.upgrade(url)
        finally:
            migrations.log.removeHandler(handler)

        assert "canceling statement due to lock timeout" in caplog.text
        assert migrations.current(url) == ("a",)

    def test_no_attempt_left(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        with locked(url, Event()):
            result = runner.invoke(app, ["db", "upgrade"])

        assert result.exit_code == 1
        assert [record.levelname for record in caplog.records].count("WARNING") == 2
        assert result.stderr.startswith("Other transactions hold locks that the migration needs")
        assert "ALTER TABLE items ADD COLUMN size INTEGER" in result.stderr
        assert migrations.current(url) == ("0001",)


class TestTwoMigrations:
    """Two processes apply the same migrations at the same time."""

    SCRIPT = (
        "import sys; from pathlib import Path; from app import migrations; "
        "original = migrations.config; "
        "migrations.config = lambda url: original(url, Path(sys.argv[2])); "
        "migrations.upgrade(sys.argv[1])"
    )

    @pytest.mark.parametrize("code", [ADD_COLUMN, CREATE_INDEX], ids=["column", "index"])
    def test_one_waits(self, url: str, versions: Path, tmp_path: Path, code: str) -> None:
        add_revision(versions, "a", f'op.execute("""{UNTIL_CONTINUED}""")\n    {code}')
        log = tmp_path / "log.txt"
        command = [sys.executable, "-c", self.SCRIPT, url, str(versions)]
        with log.open("w") as output:
            running = [subprocess.Popen(command, stderr=output) for _ in range(2)]
        try:
            deadline = time.monotonic() + 60
            while "Waiting for it" not in log.read_text() and time.monotonic() < deadline:
                time.sleep(0.1)
            asyncio.run(execute(url, "CREATE TABLE continued ()"))
            codes = [process.wait(60) for process in running]
        finally:
            for process in running:
                process.kill()

        assert codes == [0, 0], log.read_text()
        assert log.read_text().count("Waiting for it") == 1
        assert migrations.current(url) == ("a",)
