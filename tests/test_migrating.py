"""Editing models while `dev` runs, on a real database."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project import Project
from tests.running import Running, dev
from tests.variants import FULL, MIXED

ITEMS = "/api/v1/items"
SECONDS = 40

full = pytest.mark.parametrize("variant", [FULL], ids=str)
stored = pytest.mark.parametrize("variant", [FULL, MIXED], ids=str)


@stored
def test_scenarios_inside_the_project(fresh: Project) -> None:
    # Many, and slow: the project itself has one of them.
    shutil.copy(
        Path(__file__).parent / "inside/auto_migrate.py", fresh.path / "tests/test_scenarios.py"
    )

    output = fresh.uv_run("pytest", "-q", "tests/test_scenarios.py")

    assert re.search(r"1\d passed", output), output


def until(said: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if said():
            return
        time.sleep(0.1)
    pytest.fail(f"no {what} within {SECONDS} seconds")


class Day:
    """A project under git whose `dev` runs, and whose models are edited."""

    def __init__(self, project: Project, app: Running) -> None:
        self.project = project
        self.app = app
        self.client = app.signed_in("ada@example.com", register=True)
        self.models = project.path / "src/app/items/models.py"
        self.looks = 0

    def edit(self, old: str, new: str, *, expect: str) -> None:
        """Change the models, and wait for what `dev` says."""
        before = self.said(expect)
        text = self.models.read_text()
        assert old in text
        self.models.write_text(text.replace(old, new))
        until(lambda: self.said(expect) > before, expect)

    def said(self, what: str) -> int:
        return self.app.so_far().count(what)

    def until_taken_over(self, restarts: int) -> None:
        until(lambda: self.said("Application startup complete") >= restarts, "restart")

    def migrations(self) -> list[str]:
        folder = self.project.path / "src/app/migrations/versions"
        return sorted(path.name[16:] for path in folder.glob("2*.py"))

    def commit(self) -> None:
        git(self.project, "add", "-A")
        git(self.project, "commit", "-qm", "a change")

    def columns(self) -> set[str]:
        query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'items'"
        return set(self.sql(query).split())

    def sql(self, query: str) -> str:
        done = subprocess.run(
            ["uv", "run", "--quiet", "acme-orders", "db", "shell"],
            input=f"\\pset tuples_only on\n{query}\n",
            cwd=self.project.path,
            env=self.project.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def git(project: Project, *command: str) -> None:
    project.run("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *command)


@pytest.fixture
def day(fresh: Project) -> Iterator[Day]:
    git(fresh, "init", "-q")
    git(fresh, "add", "-A")
    git(fresh, "commit", "-qm", "Start")
    with dev(fresh) as app:
        yield Day(fresh, app)


TITLE = "    title: Mapped[str] = mapped_column(Text)\n"
PRICE = '    price: Mapped[int] = mapped_column(server_default="7")\n'
WEIGHT = "    weight: Mapped[int | None]\n"


@full
def test_day_with_a_model(day: Day) -> None:
    item = day.client.post(ITEMS, json={"title": "Buy milk"}).raise_for_status().json()

    # A new column is there before the new code takes requests.
    day.edit(TITLE, TITLE + PRICE, expect="Migration written and applied")
    day.until_taken_over(2)
    assert day.migrations() == ["add_price_to_items.py"]
    assert "price" in day.columns()
    assert day.client.get(f"{ITEMS}/{item['id']}").is_success
    assert day.client.post(ITEMS, json={"title": "Buy bread"}).is_success

    # Another change, and it is still one revision; the rows are there.
    day.edit(PRICE, PRICE + WEIGHT, expect="Migration rewritten and applied")
    day.until_taken_over(3)
    assert day.migrations() == ["add_price_and_weight_to_items.py"]
    assert day.sql("SELECT price FROM items").split() == ["7", "7"]
    assert "already formatted" in day.project.uv_run("ruff", "format", "--check", "src")
    day.project.uv_run("ruff", "check", "src")

    # Broken code shows its error; the old code goes on.
    day.edit(TITLE, TITLE + "    oops(\n", expect="The old code goes on until the next change.")
    assert "SyntaxError" in day.app.so_far()
    assert day.client.get(ITEMS).is_success

    # In git, it is history: what is dropped is written, but waits.
    day.models.write_text(day.models.read_text().replace("    oops(\n", ""))
    day.until_taken_over(4)
    day.commit()
    day.edit(PRICE, "", expect="It drops items.price.")
    day.until_taken_over(5)
    assert day.migrations() == ["add_price_and_weight_to_items.py", "drop_price_from_items.py"]
    assert "price" in day.columns()
    assert "uv run acme-orders db upgrade" in day.app.so_far()
    assert "drop price from items" in day.project.uv_run("acme-orders", "db", "history")

    day.project.uv_run("acme-orders", "db", "upgrade")
    assert "price" not in day.columns()
    assert day.client.get(f"{ITEMS}/{item['id']}").is_success
    # And it is what the tests of the project, on a new database, find in order.
    day.project.uv_run("pytest", "-q", "tests/test_migrations.py")


@full
def test_no_change_no_file(day: Day) -> None:
    day.models.write_text(day.models.read_text() + "# A remark.\n")
    day.until_taken_over(2)

    assert day.migrations() == []


@full
def test_requests_are_answered_while_the_code_changes(day: Day) -> None:
    codes = []
    day.models.write_text(day.models.read_text() + "# A remark.\n")
    while day.said("Application startup complete") < 2:
        codes.append(day.client.get(ITEMS).status_code)
    codes += [day.client.get(ITEMS).status_code for _ in range(20)]

    assert set(codes) == {200}


@full
def test_branch_that_the_database_is_ahead_of(fresh: Project) -> None:
    git(fresh, "init", "-q")
    with dev(fresh) as app:
        day = Day(fresh, app)
        day.edit(TITLE, TITLE + PRICE, expect="Migration written and applied")
        day.until_taken_over(2)
        next((fresh.path / "src/app/migrations/versions").glob("2*.py")).unlink()
        day.models.write_text(day.models.read_text() + "# A remark.\n")
        until(lambda: day.said("uv run acme-orders db reset") > 0, "the way out")
        assert "is ahead of this code, or the file was deleted" in app.so_far()
        assert app.client().get("/health/live").is_success

        # The way out, as it was said.
        fresh.uv_run("acme-orders", "db", "reset", "--yes")
        day.models.write_text(day.models.read_text() + "# Another.\n")
        day.until_taken_over(3)
        assert day.migrations() == ["add_price_to_items.py"]


@full
def test_two_branches_are_joined(fresh: Project) -> None:
    folder = fresh.path / "src/app/migrations/versions"
    for name in "ab":
        (folder / f"{name}.py").write_text(
            f'"""{name}."""\n\nrevision = "{name}"\ndown_revision = "0001"\n'
            "branch_labels = None\ndepends_on = None\n\n\n"
            "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
        )
    script = "from app.cli.auto_migrate.history import History; History('postgresql://')"

    said = fresh.uv_run("python", "-c", script, check=False)
    fresh.uv_run("acme-orders", "db", "merge")

    assert "Two migrations are the newest: a.py and b.py. Join them" in said
    fresh.uv_run("python", "-c", script)


@full
def test_production_never_migrates(fresh: Project) -> None:
    fresh.uv_run("acme-orders", "db", "upgrade")
    with_server = (
        "import os, subprocess, sys\n"
        "from app.cli.database import database_url\n"
        "with database_url() as url:\n"
        "    os.environ |= {'DATABASE_URL': url, 'APP_ENVIRONMENT': 'development'}\n"
        "    subprocess.run([sys.executable, '-m', 'app.cli', 'db', 'downgrade', '-y'])\n"
        "    done = subprocess.run([sys.executable, '-m', 'app.cli', 'serve'], timeout=60)\n"
        "    subprocess.run([sys.executable, '-m', 'app.cli', 'db', 'history'])\n"
        "    print('code', done.returncode)\n"
    )

    said = fresh.uv_run("python", "-c", with_server)

    assert "The database is behind the code" in said
    assert "code 1" in said
    # Nothing was applied by it.
    assert "->" not in said
