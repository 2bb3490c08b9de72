"""`dev` and `serve` as a new user runs them."""

import re
import socket
import stat
import time
from collections import Counter
from pathlib import Path
from threading import Event, Thread

import httpx2
import pytest

from tests.project import Project
from tests.running import dev, free_port, listens
from tests.variants import BARE, FULL, MIXED

ITEMS = "/api/v1/items"

full = pytest.mark.parametrize("variant", [FULL], ids=str)


@full
def test_first_day(fresh: Project) -> None:
    fresh = Project(fresh.path, {})  # with a virtual environment of its own

    # From an empty folder to the first row.
    with dev(fresh, LOG_FORMAT="pretty") as app:
        assert "x-request-id" in app.client().get(ITEMS).headers
        client = app.signed_in("ada@example.com", register=True)
        item = client.post(ITEMS, json={"title": "Buy milk"}).raise_for_status().json()
        ready = client.get("/health/ready").json()
    # The email is logged, and stored in a folder.
    assert (
        "Confirm your email address" in next((fresh.path / ".dev/mails").glob("*.html")).read_text()
    )
    # The link is on a line of its own.
    assert re.search(rf"^ +{app.url}/verify-email\?token=\S+$", app.output, re.MULTILINE)
    assert ready == {"status": "ok", "checks": {"database": "ok", "redis": "ok"}}
    assert "Created .env from .env.example." in app.output
    assert app.output.rstrip().endswith("Stopped.")
    assert app.process.returncode == 0
    port = int(re.search(r"PostgreSQL at 127\.0\.0\.1:(\d+)/app", app.output)[1])  # type: ignore[index]
    assert not listens(port), "PostgreSQL is still running"
    secrets = (fresh.path / ".env").read_text()
    assert "change-me" not in secrets.replace("`change-me`", "")
    assert stat.S_IMODE((fresh.path / ".env").stat().st_mode) == 0o600

    # After a restart, data and secrets are unchanged.
    with dev(fresh) as app:
        client = app.signed_in("ada@example.com", register=False)
        assert client.get(f"{ITEMS}/{item['id']}").json() == item

        # Tests do not touch the development data.
        fresh.uv_run("pytest", "-q", "tests/items", "tests/test_database.py")
        assert client.get(ITEMS).json()["data"] == [item]
    assert "Created .env" not in app.output
    assert (fresh.path / ".env").read_text() == secrets
    assert (fresh.path / "uv.lock").exists()


@pytest.mark.parametrize("variant", [BARE, MIXED], ids=str)
def test_without_accounts(fresh: Project) -> None:
    with dev(fresh) as app:
        client = app.client()
        created = client.post(ITEMS, json={"title": "Buy milk"}).raise_for_status().json()
        listed = client.get(ITEMS).json()["data"]

    assert listed == [created]


@full
def test_restarts_when_the_code_changes(fresh: Project) -> None:
    with dev(fresh) as app:
        client = app.client()
        router = fresh.path / "src/app/items/router.py"
        router.write_text(
            router.read_text().replace('"""Return one item."""', '"""Return an item."""')
        )

        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if client.get("/health/live").is_success:
                schema = client.get("/openapi.json").json()
                if (
                    schema["paths"][f"{ITEMS}/{{item_id}}"]["get"]["description"]
                    == "Return an item."
                ):
                    break
            time.sleep(0.1)
        else:
            pytest.fail("the old code is still running after 30 seconds")


@pytest.mark.parametrize("variant", [BARE], ids=str)
def test_port_of_the_settings(fresh: Project) -> None:
    port = free_port()
    with dev(fresh, port=port, option=False, APP_PORT=str(port)) as app:
        assert app.url.endswith(f":{port}")


@full
def test_second_dev(fresh: Project) -> None:
    with dev(fresh) as app:
        second = fresh.uv_run("acme-orders", "dev", "--port", str(free_port()), check=False)

    assert "dev is already running in this folder" in second
    assert app.url in second
    assert "Traceback" not in second


@full
def test_used_port(fresh: Project) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        output = fresh.uv_run("acme-orders", "dev", "--port", str(port), check=False)

    assert f"Cannot listen on 127.0.0.1:{port}" in output
    assert f"--port {port + 1}" in output
    assert "Traceback" not in output


@full
def test_database_restart_under_load(fresh: Project) -> None:
    cluster = "from fastship_tooling.database.postgres import find_cluster; find_cluster()"
    codes: Counter[int] = Counter()
    written: list[str] = []
    stopping = Event()

    def load(client: httpx2.Client) -> None:
        while not stopping.is_set():
            response = client.post(ITEMS, json={"title": "Buy milk"})
            codes[response.status_code] += 1
            if response.is_success:
                written.append(response.json()["id"])

    with dev(fresh) as app:
        client = app.signed_in("ada@example.com", register=True)
        threads = [Thread(target=load, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        fresh.uv_run("python", "-c", f"{cluster}.stop()")
        down = client.get("/health/ready").status_code
        before = codes[201]
        fresh.uv_run("python", "-c", f"{cluster}.start()")
        time.sleep(2)
        stopping.set()
        for thread in threads:
            thread.join()
        missing = [i for i in written if client.get(f"{ITEMS}/{i}").status_code != httpx2.codes.OK]

    assert down == httpx2.codes.SERVICE_UNAVAILABLE
    assert set(codes) == {201, 503}
    assert codes[201] > before > 0
    assert missing == []


@full
class TestInvalidSettings:
    """The output is one clear line each without a traceback, and the exit code is not 0."""

    @staticmethod
    def fails(project: Project, *command: str, **variables: str) -> list[str]:
        output = project.run(
            "sh", "-c", f"uv run --quiet acme-orders {' '.join(command)} && echo succeeded",
            check=False, **variables,
        )  # fmt: skip
        assert "succeeded" not in output
        assert "Traceback" not in output
        return output.splitlines()

    @pytest.mark.parametrize("command", [["dev"], ["serve"], ["db", "upgrade"]], ids=" ".join)
    def test_unavailable_database(self, fresh: Project, command: list[str]) -> None:
        url = f"postgres://ada:secret@127.0.0.1:{free_port()}/shop"

        *_, line, advice = self.fails(
            fresh,
            *command,
            DATABASE_URL=url,
            APP_ENVIRONMENT="development",
            APP_PORT=str(free_port()),
        )

        assert line.startswith("Cannot connect to the database at 127.0.0.1:")
        assert "secret" not in line
        assert advice == "Start it, or correct DATABASE_URL."
        # A server must not become a development environment.
        assert (fresh.path / ".env").exists() is (command == ["dev"])

    def test_typos_in_env_file(self, fresh: Project) -> None:
        (fresh.path / ".env").write_text(
            "APP_ENVIRONMENT=development\nDATABSE_URL=postgres://localhost/x\n"
            "LOG_LEVEL=chatty\nAPP_COLOR=red\nAWS_REGION=eu-central-1\n"
        )

        lines = self.fails(fresh, "dev", "--port", str(free_port()))

        assert lines[0] == "The settings are invalid:"
        assert any("DATABSE_URL" in ln and "Did you mean DATABASE_URL?" in ln for ln in lines)
        assert any("LOG_LEVEL" in line and "'DEBUG', 'INFO'" in line for line in lines)
        assert any("APP_COLOR" in line for line in lines)
        assert not any("AWS_REGION" in line for line in lines)

    def test_production_with_defaults(self, fresh: Project) -> None:
        lines = self.fails(fresh, "serve", APP_DEBUG="true")

        issues = {line.split(":")[0].strip() for line in lines[1:-1]}
        assert issues == {
            "APP_DEBUG", "APP_TRUSTED_HOSTS", "DATABASE_URL", "REDIS_URL", "SECRET_KEY",
            "MAIL_LINKS_TO", "MAIL_SENDER", "MAIL_SMTP_URL",
        }  # fmt: skip
        assert "`uv run acme-orders dev` creates it" in lines[-1]
        assert not (fresh.path / ".env").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
@full
def test_interrupted_start_leaves_nothing_behind(fresh: Project) -> None:
    # SIGTERM to the command alone, as a supervisor or an editor sends it.
    with dev(fresh) as app:
        port = int(re.search(r":(\d+)$", app.url)[1])  # type: ignore[index]
        children = fresh.run("pgrep", "-f", f"acme-orders dev --port {port}").split()
        fresh.run("kill", "-TERM", children[-1])
        app.process.wait(timeout=30)

    postgres = int(re.search(r"PostgreSQL at 127\.0\.0\.1:(\d+)", app.output)[1])  # type: ignore[index]
    assert not listens(port)
    assert not listens(postgres)
