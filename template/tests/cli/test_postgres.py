import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from app.cli import postgres

OTHER_USER = """
import sys
from app.cli import postgres
with postgres.running() as address:
    print(address, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of these tests' own, without a trace: what root uses lies outside of it."""
    path = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        cluster = postgres.find_cluster()
        yield path
        shutil.rmtree(cluster.home)


@contextmanager
def other_user() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Have another process use the server until it is told to end."""
    command = [sys.executable, "-c", OTHER_USER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()


async def answer(address: str, database: str = "postgres") -> object:
    connection = await asyncpg.connect(f"{address}/{database}")
    try:
        return await connection.fetchval("SELECT 40 + 2")
    finally:
        await connection.close()


def test_is_shared_and_stops_with_the_last_user() -> None:
    with other_user() as (other, address):
        with postgres.running() as mine:
            assert mine == address
        assert asyncio.run(answer(address)) == 42

        with postgres.running():
            other.communicate("\n", timeout=30)
            assert asyncio.run(answer(address)) == 42

        with pytest.raises(OSError, match="Connect call failed"):
            asyncio.run(answer(address))


def test_user_that_crashed_is_no_user() -> None:
    with other_user() as (other, address):
        other.kill()
        other.wait(timeout=30)
        assert asyncio.run(answer(address)) == 42  # left running,

        with postgres.running() as mine:  # taken over,
            assert mine == address

        with pytest.raises(OSError, match="Connect call failed"):  # and stopped
            asyncio.run(answer(address))


def test_keeps_its_data_and_its_port() -> None:
    with postgres.running() as first:
        asyncio.run(postgres.ensure_database(f"{first}/kept"))
        asyncio.run(postgres.ensure_database(f"{first}/kept"))
    with postgres.running() as second:
        assert asyncio.run(answer(second, "kept")) == 42

    assert first == second


def test_failure_shows_what_postgres_said() -> None:
    with postgres.running():
        pass
    data = postgres.find_cluster().data
    version = data / "PG_VERSION"
    genuine = version.read_text()
    version.write_text("9.6\n")

    try:
        with (
            pytest.raises(postgres.PostgresError, match="not compatible") as caught,
            postgres.running(),
        ):
            pass
    finally:
        version.write_text(genuine)

    assert str(data) in str(caught.value)


def test_no_binaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr(postgres, "WHEELS", {})
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))

    with pytest.raises(postgres.PostgresError, match="uv sync"):
        postgres.find_binaries()


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root has to share a folder"
)
def test_foreign_folder_is_not_used(folder: Path) -> None:
    foreign = folder / "postgres-of-root"
    foreign.mkdir()
    foreign.chmod(0o777)

    with pytest.raises(postgres.PostgresError, match="somebody else"):
        postgres.own_folder(foreign)
