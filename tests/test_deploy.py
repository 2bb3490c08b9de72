"""Deploying for real, on this machine's engine: what is served meanwhile, and when it goes wrong."""

import re
import shutil
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
from tests.test_running import ITEMS
from tests.variants import FULL

SLUG = "acme-orders"
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
SLOW = '''

@router.get("/slow/{seconds}")
async def slow(seconds: float) -> float:
    """Take a while."""
    import asyncio

    await asyncio.sleep(seconds)
    return seconds
'''


class Server:
    """A project that is deployed here.

    Args:
        project: Under git.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.app = Application(f"http://127.0.0.1:{free_port()}")

    def deploy(self, *options: str, check: bool = True) -> str:
        return self.project.uv_run(SLUG, "deploy", *options, check=check)

    def compose(self, *command: str, check: bool = True) -> str:
        file = ["--env-file", ".env.production", "--file", "docker-compose.prod.yml"]
        return self.project.run("docker", "compose", *file, *command, check=check)

    def commit(self) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        self.project.run("git", *identity, "commit", "-qam", "a change")

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a file, and commit it."""
        file = self.project.path / path
        before = file.read_text()
        file.write_text(change(before))
        assert file.read_text() != before
        self.commit()

    def running(self) -> set[str]:
        names = docker("ps", "--format", "{{.Names}}").split()
        found = (re.fullmatch(rf"{SLUG}-production-(blue|green)-\d", name) for name in names)
        return {match[1] for match in found if match}

    @contextmanager
    def under_load(self) -> Iterator[Counter[str]]:
        """Have clients write and read all the while; counts what they got."""
        got: Counter[str] = Counter()
        over = Event()
        signed_in = self.app.signed_in("load@example.com", register="load" not in self.accounts())

        def work() -> None:
            with httpx2.Client(base_url=self.app.url, timeout=20) as client:
                client.headers["authorization"] = signed_in.headers["authorization"]
                while not over.is_set():
                    try:
                        made = client.post(ITEMS, json={"title": "Buy milk"})
                        got[str(made.status_code)] += 1
                        if made.is_success:
                            read = client.get(f"{ITEMS}/{made.json()['id']}")
                            got[str(read.status_code)] += 1
                    except httpx2.HTTPError as error:
                        got[type(error).__name__] += 1
                    time.sleep(0.02)

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield got
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def accounts(self) -> str:
        return self.sql("SELECT email FROM users")

    def sql(self, statement: str) -> str:
        psql = ["psql", "--username", "app", "--tuples-only", "--command", statement]
        return self.compose("exec", "--no-TTY", "db", *psql)


@pytest.fixture(scope="module")
def server(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A first deploy, as far as the README tells it."""
    require_docker()
    rendered = render(FULL)
    folder = tmp_path_factory.mktemp("deploy") / SLUG
    shutil.copytree(rendered.path, folder, ignore=shutil.ignore_patterns(".*_cache", "__pycache__"))
    project = Project(folder, rendered.environment)
    project.run("uv", "lock", "--quiet")
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    server = Server(project)
    server.commit()

    # It says all that is missing, and makes what it can.
    said = server.deploy(check=False)
    assert "Made .env.production, secrets/DATABASE_PASSWORD, secrets/SECRET_KEY." in said
    for needed in ("DOMAIN", "MAIL_SMTP_URL", "MAIL_SENDER", "MAIL_LINKS_TO"):
        assert f"  {needed}: is not set" in said
    assert "Traceback" not in said
    assert "SECRET_KEY:" not in said
    project.run("git", "diff", "--exit-code")
    http = int(server.app.url.rpartition(":")[2])
    (folder / ".env.production").write_text(SETTINGS.format(http=http, https=free_port()))
    (folder / "secrets/MAIL_SMTP_URL").write_text("smtp://nowhere:25\n")

    steps = server.deploy("--dry-run")
    for step in ("docker build", "once acme-orders db upgrade", "--force-recreate blue"):
        assert step in steps
    assert server.running() == set()

    try:
        assert "The new version serves." in server.deploy()
        server.edit("src/app/health/router.py", lambda text: text + SLOW)
        with server.app.clients:
            yield server
    finally:
        server.compose("down", "--volumes", "--remove-orphans", check=False)
        docker("volume", "rm", "--force", f"{SLUG}-secrets", check=False)
        names = [f"{SLUG}:{tag}" for tag in ("blue", "green", "next")]
        docker("image", "rm", "--force", *names, check=False)


def test_what_runs_has_few_rights(server: Server) -> None:
    [container, *_] = server.compose("ps", "--quiet", "blue").split()

    assert docker("exec", container, "id", "-u") == "10001"
    assert docker("exec", container, "sh", "-c", "touch /x || echo refused") == "refused"
    capabilities = docker("exec", container, "cat", "/proc/1/status")
    assert re.search(r"^CapBnd:\t0+$", capabilities, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", capabilities, re.MULTILINE)
    # Secrets are files, and in no variable.
    variables = docker("exec", container, "env")
    for secret in (server.project.path / "secrets").iterdir():
        assert secret.read_text().strip() not in variables
    assert "DATABASE_PASSWORD" in docker("exec", container, "ls", "/run/secrets")


def test_no_request_is_lost(server: Server) -> None:
    with server.under_load() as got:
        server.deploy()
        assert server.running() == {"green"}
        server.deploy("--rollback")
        assert server.running() == {"blue"}

    assert set(got) == {"201", "200"}
    assert got.total() > 500
    assert int(server.sql("SELECT count(*) FROM items")) == got["201"]
    server.deploy()


def test_slow_request_is_answered(server: Server) -> None:
    # Longer than the colour goes on serving: it is waited for.
    took: list[float] = []

    def ask() -> None:
        took.append(httpx2.get(f"{server.app.url}/health/slow/14", timeout=40).json())

    asking = Thread(target=ask)
    asking.start()
    time.sleep(1)
    [before] = server.running()
    server.compose("stop", before)
    asking.join()
    server.compose("start", before)

    assert took == [14]
    wait_until_served(server)


def wait_until_served(server: Server) -> None:
    client = server.app.client()
    for _ in range(60):
        if client.get("/health/ready").is_success:
            return
        time.sleep(0.5)
    pytest.fail("nothing is served")


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


def breaks_migrations(project: Path) -> None:
    (project / "src/app/migrations/versions/fails.py").write_text(MIGRATION)


def crashes(project: Path) -> None:
    main = project / "src/app/main.py"
    main.write_text(main.read_text() + '\nraise RuntimeError("no such luck")\n')


def is_never_ready(project: Path) -> None:
    main = project / "src/app/main.py"
    before = "    app.state.readiness_checks = {}\n"
    text = main.read_text()
    assert before in text
    main.write_text(
        text.replace(before, '    app.state.readiness_checks = {"never": lambda: 1 / 0}\n')
    )


@pytest.mark.parametrize(
    ("break_it", "said", "patience"),
    [
        (breaks_migrations, "The migration failed", "60"),
        (crashes, "no such luck", "60"),
        (is_never_ready, '/health/ready: {"status":"unavailable"', "30"),
    ],
    ids=["migration", "crash", "never ready"],
)
def test_old_version_serves_on(
    server: Server, break_it: Callable[[Path], None], said: str, patience: str
) -> None:
    before = server.running()
    break_it(server.project.path)
    try:
        with server.under_load() as got:
            output = server.deploy("--dirty", "--patience", patience, check=False)
    finally:
        server.project.run("git", "checkout", "-q", ".")
        server.project.run("git", "clean", "-fdq")

    assert said in output
    assert "What served before serves on." in output
    assert "Traceback (most recent call last)" not in output.partition("Its log ends with")[0]
    assert set(got) == {"201", "200"}
    assert server.running() == before
    assert "half" not in server.sql("\\dt")


def test_uncommitted_changes_are_refused(server: Server) -> None:
    readme = server.project.path / "README.md"
    readme.write_text(readme.read_text() + "More.\n")
    output = server.deploy(check=False)
    server.project.run("git", "checkout", "-q", ".")

    assert "Not everything is committed" in output


def test_backup_and_restore(server: Server, tmp_path: Path) -> None:
    client = server.app.signed_in("ada@example.com", register=True)
    kept = client.post(ITEMS, json={"title": "Buy milk"}).json()
    file = str(tmp_path / "all.dump")
    everything = "SELECT * FROM items ORDER BY id"
    before = server.sql(everything)

    server.project.uv_run(SLUG, "db", "backup", file, "--production")
    client.post(ITEMS, json={"title": "Buy bread"})
    client.delete(f"{ITEMS}/{kept['id']}")
    assert server.sql(everything) != before
    server.project.uv_run(SLUG, "db", "restore", file, "--production", "--yes")

    assert server.sql(everything) == before
    assert client.get(ITEMS).json()["data"] == [kept]
    # And the daily ones come by themselves.
    assert ".dump" in server.compose("exec", "--no-TTY", "backup", "ls", "/backups")
