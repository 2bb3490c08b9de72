"""Deployments to the Docker engine of this machine, successful and failed ones."""

import itertools
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx2
import pytest

from tests.conftest import Render
from tests.containers import docker, require_docker
from tests.project import Project
from tests.running import Application, free_port
from tests.test_containers import PRODUCTION
from tests.test_migrating import wait_until
from tests.test_running import ITEMS
from tests.variants import FULL

SLUG = "acme-orders"
COLORS = ("blue", "green")
ROLES = ("app", "migrations", "backup")
SETTINGS = """
DOMAIN=:80
APP_TRUSTED_HOSTS=*
MAIL_SENDER=noreply@example.com
MAIL_LINKS_TO=https://example.com
LOG_SAMPLE_RATE=0
AUTH_RATE_LIMITS=false
HTTP_PORT={http}
HTTPS_PORT={https}
"""
JOB = '''"""A job that takes a moment."""

from asyncio import sleep
from uuid import UUID

from app.items.models import Item
from app.kit.jobs import JobContext, job


@job(retries=3)
async def note(context: JobContext, owner_id: UUID, number: int) -> None:
    """Create an item."""
    await sleep(0.3)
    context.session.add(Item(title=f"Job {number}", description="", owner_id=owner_id))
'''
ENQUEUE = '''

from app.auth.dependencies import CurrentUser
from app.database import SessionDep
from app.jobs.note import note


@router.post("/notes/{number}")
async def enqueue(number: int, user: CurrentUser, session: SessionDep) -> int:
    """Enqueue a job."""
    await note.enqueue(session, user.id, number)
    return number
'''
SLOW = '''

@router.get("/slow/{seconds}")
async def slow(seconds: float) -> float:
    """Take a while."""
    import asyncio

    await asyncio.sleep(seconds)
    return seconds
'''


class Server:
    """A project that is deployed to this machine.

    Args:
        project: The project. It is a git repository.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.app = Application(f"http://127.0.0.1:{free_port()}")
        self.turns = itertools.count()
        self.enqueued: list[int] = []

    def deploy(self, *options: str, check: bool = True) -> str:
        return self.project.uv_run(SLUG, "deploy", *options, check=check)

    def compose(self, *command: str, check: bool = True) -> str:
        return self.project.run("docker", "compose", *PRODUCTION, *command, check=check)

    def commit(self) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        self.project.run("git", *identity, "commit", "-qam", "Change")

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a file, and commit it."""
        file = self.project.path / path
        before = file.read_text()
        file.write_text(change(before))
        assert file.read_text() != before
        self.commit()

    def running(self, suffix: str = "") -> set[str]:
        names = docker("ps", "--format", "{{.Names}}").split()
        pattern = rf"{SLUG}-production-(blue|green){suffix}-\d"
        found = (re.fullmatch(pattern, name) for name in names)
        return {match[1] for match in found if match}

    @contextmanager
    def under_load(self) -> Iterator[Counter[str]]:
        """Run clients that write, read and enqueue jobs; count the status codes and errors."""
        counts: Counter[str] = Counter()
        over = Event()
        signed_in = self.app.signed_in("load@example.com", register="load" not in self.accounts())

        def work() -> None:
            with httpx2.Client(base_url=self.app.url, timeout=20) as client:
                client.headers["authorization"] = signed_in.headers["authorization"]
                while not over.is_set():
                    try:
                        created = client.post(ITEMS, json={"title": "Buy milk"})
                        counts[str(created.status_code)] += 1
                        if created.is_success:
                            read = client.get(f"{ITEMS}/{created.json()['id']}")
                            counts[str(read.status_code)] += 1
                        if (number := next(self.turns)) % 8 == 0:
                            accepted = client.post(f"/health/notes/{number}")
                            counts[str(accepted.status_code)] += 1
                            if accepted.is_success:
                                self.enqueued.append(number)
                    except httpx2.HTTPError as error:
                        counts[type(error).__name__] += 1
                    time.sleep(0.02)

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield counts
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def proxy_errors(self) -> str:
        """Return why the proxy could not answer the latest requests."""
        log = self.compose("logs", "--no-log-prefix", "proxy").splitlines()
        return "\n".join([line for line in log if '"level":"error"' in line][-10:])

    def wait_for_jobs(self) -> None:
        """Wait until the jobs of `under_load` are done: each creates an item."""
        waiting = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'note'"
        wait_until(lambda: int(self.sql(waiting)) == 0, "end of the jobs")

    def accounts(self) -> str:
        return self.sql("SELECT email FROM users")

    def sql(self, statement: str) -> str:
        psql = ["psql", "--username", "postgres", "--tuples-only", "--command", statement, "app"]
        return self.compose("exec", "--no-TTY", "db", *psql)


def clean_up() -> None:
    """Remove the containers, volumes and images of a deployment, also of a test run that was killed."""
    name = f"{SLUG}-production"
    docker("compose", "--project-name", name, "down", "--volumes", "--remove-orphans", check=False)
    docker("volume", "rm", "--force", f"{SLUG}-secrets", check=False)
    states = [f"{color}{state}" for color in COLORS for state in ("", "-live", "-previous")]
    images = [f"{SLUG}:{tag}" for tag in (*states, "next")]
    docker("image", "rm", "--force", *images, check=False)


@pytest.fixture(scope="module")
def server(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Deploy a project for the first time, as the README describes it."""
    require_docker()
    clean_up()
    rendered = render(FULL)
    folder = tmp_path_factory.mktemp("deploy") / SLUG
    shutil.copytree(rendered.path, folder, ignore=shutil.ignore_patterns(".*_cache", "__pycache__"))
    project = Project(folder, rendered.environment)
    (folder / "src/app/jobs/note.py").write_text(JOB)
    router = folder / "src/app/health/router.py"
    router.write_text(router.read_text() + ENQUEUE)
    project.run("uv", "lock", "--quiet")
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    server = Server(project)
    server.commit()

    # The first attempt creates files, and lists everything that is missing.
    output = server.deploy(check=False)
    passwords = [f"deploy/secrets/passwords/{role}" for role in (*ROLES, "redis")]
    created = ["deploy/production.env", "deploy/secrets/SECRET_KEY", *passwords]
    assert f"Created {', '.join(created)}." in output.replace("\n", " ")
    for missing in ("DOMAIN", "MAIL_SMTP_URL", "MAIL_SENDER", "MAIL_LINKS_TO"):
        assert f"  {missing}: is not set" in output
    assert "Traceback" not in output
    assert "SECRET_KEY:" not in output
    project.run("git", "diff", "--exit-code")
    http = int(server.app.url.rpartition(":")[2])
    (folder / "deploy/production.env").write_text(SETTINGS.format(http=http, https=free_port()))
    (folder / "deploy/secrets/MAIL_SMTP_URL").write_text("smtp://nowhere:25\n")

    steps = server.deploy("--dry-run")
    for step in ("docker build", "once acme-orders db upgrade", "--force-recreate blue"):
        assert step in steps
    assert server.running() == set()

    try:
        assert "The new version is serving." in server.deploy()
        server.edit("src/app/health/router.py", lambda text: text + SLOW)
        with server.app.clients:
            yield server
    finally:
        clean_up()


@pytest.mark.parametrize(
    ("service", "secrets"),
    [
        ("blue", {"DATABASE_URL", "MAIL_SMTP_URL", "REDIS_URL", "SECRET_KEY"}),
        ("blue-worker", {"DATABASE_URL", "MAIL_SMTP_URL", "REDIS_URL", "SECRET_KEY"}),
        ("db", set()),
        ("backup", {"PASSWORD"}),
        ("redis", {"PASSWORD"}),
    ],
)
def test_privileges(server: Server, service: str, secrets: set[str]) -> None:
    [container, *_] = server.compose("ps", "--quiet", service).split()

    assert docker("exec", container, "sh", "-c", "touch /x || echo refused") == "refused"
    process = docker("exec", container, "cat", "/proc/1/status")
    assert re.search(r"^CapBnd:\t0+$", process, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", process, re.MULTILINE)
    found = docker("exec", container, "sh", "-c", "ls /run/secrets || true").split()
    assert set(found) == secrets
    # Secrets are files. Other processes can read environment variables and command lines.
    # A process of the health check may end meanwhile.
    read = "env; cat /proc/*/cmdline /proc/*/environ || true"
    visible = docker("exec", container, "sh", "-c", read)
    for secret in (server.project.path / "deploy/secrets").rglob("*"):
        assert secret.is_dir() or secret.read_text().strip() not in visible


def test_user_of_the_application(server: Server) -> None:
    assert server.compose("exec", "--no-TTY", "blue", "id", "-u").strip() == "10001"


QUERY = """
import asyncio, sys, asyncpg
from app.config import Settings
async def main():
    url = Settings.load().database.url.get_secret_value()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        print(await connection.fetchval(sys.argv[1]))
    except asyncpg.PostgresError as error:
        print(type(error).__name__)
asyncio.run(main())
"""


class TestDatabaseRoles:
    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE things (id int)",
            "CREATE TEMPORARY TABLE things (id int)",
            "ALTER TABLE items ADD COLUMN other int",
            "DROP TABLE items",
            "TRUNCATE items",
            "CREATE ROLE another",
            "COPY items TO PROGRAM 'cat'",
            "SELECT pg_read_file('/etc/passwd')",
        ],
    )
    def test_application(self, server: Server, statement: str) -> None:
        [color] = server.running()
        python = ["exec", "--no-TTY", color, "python", "-c", QUERY]

        assert server.compose(*python, "SELECT current_user").strip() == "app"
        assert server.compose(*python, statement).strip() == "InsufficientPrivilegeError"

    def test_migrations(self, server: Server) -> None:
        python = ["run", "--rm", "--no-deps", "--no-TTY", "once", "python", "-c", QUERY]

        assert server.compose(*python, "SELECT current_user").strip() == "migrations"
        assert (
            server.compose(*python, "CREATE ROLE another").strip() == "InsufficientPrivilegeError"
        )
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert server.sql(owners).strip() == "migrations"

    def test_superuser_cannot_connect_from_outside(self, server: Server) -> None:
        psql = "PGUSER=postgres PGPASSWORD=postgres psql --command 'SELECT 1'"
        output = server.compose("exec", "--no-TTY", "backup", "sh", "-c", psql, check=False)

        assert "password authentication failed" in output
        query = "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'postgres'"
        assert server.sql(query).strip() == "t"

    def test_passwords_are_not_logged(self, server: Server) -> None:
        log = server.compose("logs", "db")

        for role in ROLES:
            path = server.project.path / "deploy/secrets/passwords" / role
            assert path.read_text() not in log


def test_redis(server: Server) -> None:
    command = ["exec", "--no-TTY", "redis", "sh", "-c"]
    settings = "valkey-cli --askpass CONFIG GET 'maxmemory*' < /run/secrets/PASSWORD"

    assert "NOAUTH" in server.compose(*command, "valkey-cli GET key")
    found = server.compose(*command, settings).split()
    assert found[found.index("maxmemory") + 1] == str(256 * 2**20)
    assert found[found.index("maxmemory-policy") + 1] == "volatile-lru"


def test_no_request_is_lost(server: Server) -> None:
    with server.under_load() as counts:
        server.deploy()
        assert server.running() == server.running("-worker") == {"green"}
        server.deploy("--rollback")
        assert server.running() == server.running("-worker") == {"blue"}

    assert set(counts) == {"201", "200"}, server.proxy_errors()
    assert counts.total() > 500
    created = "SELECT count(*) FROM items WHERE title NOT LIKE 'Job %'"
    assert int(server.sql(created)) == counts["201"]
    # Each job has run once, while its worker was replaced twice.
    server.wait_for_jobs()
    done = server.sql("SELECT substr(title, 5) FROM items WHERE title LIKE 'Job %'").split()
    assert sorted(map(int, done)) == sorted(server.enqueued)
    assert len(done) > 50
    # The mail server does not exist. The worker tries again, and the email is not lost.
    failed = "SELECT entrypoint FROM pgqueuer_log WHERE traceback IS NOT NULL LIMIT 1"
    assert server.sql(failed).strip() == "send_verification"
    assert int(server.sql("SELECT count(*) FROM pgqueuer")) == server.accounts().count("@")
    server.deploy()


def test_stop_during_the_start(server: Server) -> None:
    server.deploy()
    [live] = server.running()
    [color] = set(COLORS) - {live}
    services = (color, f"{color}-worker")
    server.compose("up", "--detach", "--no-deps", "--force-recreate", *services)
    server.compose("stop", *services)

    for container in server.compose("ps", "--quiet", "--all", *services).split():
        state = "{{.State.Running}} {{.State.ExitCode}}"
        # With 137, it would have been killed 40 seconds later, with its requests.
        assert docker("inspect", "--format", state, container) == "false 143"


def test_slow_request_is_answered(server: Server) -> None:
    # The request takes longer than the drain time.
    answers: list[float] = []

    def request() -> None:
        answers.append(httpx2.get(f"{server.app.url}/health/slow/14", timeout=40).json())

    thread = Thread(target=request)
    thread.start()
    time.sleep(1)
    [before] = server.running()
    server.compose("stop", before)
    thread.join()
    server.compose("start", before)

    assert answers == [14]
    wait_until_served(server)


def wait_until_served(server: Server) -> None:
    client = server.app.client()
    for _ in range(60):
        if client.get("/health/ready").is_success:
            return
        time.sleep(0.5)
    pytest.fail("not ready")


MIGRATION = '''"""fails."""

from alembic import op

revision = "fails"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE half (id int)")
    op.execute("SELECT 1 / 0")


def downgrade() -> None:
    pass
'''


def break_migrations(project: Path) -> None:
    (project / "src/app/migrations/versions/fails.py").write_text(MIGRATION)


def drop_a_column(project: Path) -> None:
    half = 'op.execute("CREATE TABLE half (id int)")'
    text = MIGRATION.replace(half, 'op.drop_column("items", "title")').replace("1 / 0", "1")
    (project / "src/app/migrations/versions/fails.py").write_text(text)


def crash(project: Path) -> None:
    main = project / "src/app/main.py"
    main.write_text(main.read_text() + '\nraise RuntimeError("broken")\n')


def never_be_ready(project: Path) -> None:
    main = project / "src/app/main.py"
    before = "    app.state.readiness_checks = {}\n"
    text = main.read_text()
    assert before in text
    main.write_text(
        text.replace(before, '    app.state.readiness_checks = {"never": lambda: 1 / 0}\n')
    )


def block_the_worker(project: Path) -> None:
    worker = project / "src/app/worker.py"
    worker.write_text(worker.read_text() + "\nimport time\ntime.sleep(300)\n")


@pytest.mark.parametrize(
    ("change", "message", "timeout"),
    [
        (break_migrations, "The migration failed.", "60"),
        (drop_a_column, "fails.py: ban-drop-column", "60"),
        (crash, "RuntimeError: broken", "60"),
        (never_be_ready, '/health/ready: {"status":"unavailable"', "60"),
        # The application is ready, so the proxy sends requests to it.
        (block_the_worker, "It was not ready within 20 seconds.", "20"),
    ],
    ids=["migration", "unsafe migration", "crash", "never ready", "worker"],
)
def test_failed_deployment(
    server: Server, change: Callable[[Path], None], message: str, timeout: str
) -> None:
    before = server.running()
    change(server.project.path)
    # The previous version keeps its domain.
    settings = server.project.path / "deploy/production.env"
    previous = settings.read_text()
    settings.write_text(previous.replace("DOMAIN=:80", "DOMAIN=http://other.example.com"))
    try:
        with server.under_load() as counts:
            output = server.deploy("--dirty", "--timeout", timeout, check=False)
    finally:
        settings.write_text(previous)
        server.project.run("git", "checkout", "-q", ".")
        server.project.run("git", "clean", "-fdq")

    assert message in output
    assert "The previous version is still serving." in output
    assert "Traceback (most recent call last)" not in output.partition("The end of its log")[0]
    assert set(counts) == {"201", "200"}, server.proxy_errors()
    assert server.running() == before
    assert "half" not in server.sql("\\dt")


CRASH = """

from pathlib import Path

if Path("/run/secrets/CRASH").exists():
    raise RuntimeError("broken")
"""


def test_rollback_of_a_version_that_crashes(server: Server) -> None:
    [before] = server.running()
    server.edit("src/app/main.py", lambda text: text + CRASH)
    server.deploy()
    [current] = server.running()
    touch = ["sh", "-c", f"touch /to/{current}/CRASH"]
    image = f"{SLUG}:{current}"
    docker("run", "--rm", "--user", "0", "--volume", f"{SLUG}-secrets:/to", image, *touch)
    server.compose("restart", current, f"{current}-worker")
    crashing = ("ps", "--quiet", "--status", "restarting", current)
    wait_until(lambda: bool(server.compose(*crashing)), "crash")

    server.deploy("--rollback")

    assert server.running() == server.running("-worker") == {before}
    wait_until_served(server)
    server.edit("src/app/main.py", lambda text: text.replace(CRASH, ""))
    server.deploy()
    assert server.running() == {current}


def test_second_deployment(server: Server) -> None:
    command = ["uv", "run", "--quiet", SLUG, "deploy"]
    with subprocess.Popen(command, cwd=server.project.path, env=server.project.env) as first:
        names = ("ps", "--format", "{{.Names}}")
        wait_until(lambda: f"{SLUG}-deployment" in docker(*names).split(), "lock")
        output = server.deploy(check=False)

    assert first.returncode == 0
    assert "Another deployment to this server is running." in output
    assert f"{SLUG}-deployment" not in docker(*names).split()


def test_uncommitted_changes(server: Server) -> None:
    readme = server.project.path / "README.md"
    readme.write_text(readme.read_text() + "More.\n")
    output = server.deploy(check=False)
    server.project.run("git", "checkout", "-q", ".")

    assert "There are uncommitted changes (git status)." in output


def test_rehearsal(server: Server) -> None:
    # The first backup was created before the first migration. The container creates another one when it starts.
    backups = ("exec", "--no-TTY", "backup", "ls", "/backups")
    first = server.compose(*backups).count(".dump\n")
    server.compose("restart", "backup")
    wait_until(lambda: server.compose(*backups).count(".dump\n") > first, "backup")
    drop_a_column(server.project.path)
    before = server.running()
    try:
        output = server.project.uv_run(SLUG, "deploy", "--rehearse")
    finally:
        server.project.run("git", "clean", "-fdq")

    assert re.search(r"Backup: /backups/.*\.dump", output)
    assert re.search(r"items: reads and writes blocked for [\d.]+ s", output)
    assert server.running() == before


def test_backup_and_restore(server: Server, tmp_path: Path) -> None:
    client = server.app.signed_in("ada@example.com", register=True)
    kept = client.post(ITEMS, json={"title": "Buy milk"}).json()
    file = str(tmp_path / "all.dump")
    query = "SELECT count(*), md5(string_agg(items::text, ',' ORDER BY id)) FROM items"
    server.wait_for_jobs()
    before = server.sql(query)

    server.project.uv_run(SLUG, "db", "backup", file, "--production")
    client.post(ITEMS, json={"title": "Buy bread"})
    client.delete(f"{ITEMS}/{kept['id']}")
    assert server.sql(query) != before
    server.project.uv_run(SLUG, "db", "restore", file, "--production", "--yes")

    assert server.sql(query) == before
    assert client.get(ITEMS).json()["data"] == [kept]
    # The roles have the same privileges as before.
    assert client.post(ITEMS, json={"title": "Buy bread"}).is_success
    TestDatabaseRoles().test_application(server, "CREATE TABLE things (id int)")
    server.compose("run", "--rm", "--no-deps", "--no-TTY", "once", SLUG, "db", "upgrade")
    # Development has none of these roles.
    server.project.uv_run(SLUG, "db", "restore", file, "--yes", APP_ENVIRONMENT="development")
    # A container makes one every day.
    assert ".dump" in server.compose("exec", "--no-TTY", "backup", "ls", "/backups")
