"""Changes of models while `dev` runs, with a real database."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.project import Project
from tests.report import MIGRATION
from tests.running import Running, dev
from tests.variants import FULL

ITEMS = "/api/v1/items"
SECONDS = 120

full = pytest.mark.parametrize("variant", [FULL], ids=str)


def wait_until(condition: Callable[[], bool], event: str) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"no {event} within {SECONDS} seconds")


class Editor:
    """Edits the models of a project whose `dev` runs.

    Args:
        project: The project. It is a git repository.
        app: The running application.
    """

    def __init__(self, project: Project, app: Running) -> None:
        self.project = project
        self.app = app
        self.client = app.signed_in("ada@example.com", register=True)
        self.models = project.path / "src/app/items/models.py"

    def edit(self, old: str, new: str, *, expect: str) -> None:
        """Change the models, and wait until `dev` prints a text once more."""
        before = self.count(expect)
        text = self.models.read_text()
        assert old in text
        self.models.write_text(text.replace(old, new))
        wait_until(lambda: self.count(expect) > before, expect)

    def touch(self) -> None:
        """Change the file of the models without changing the models."""
        self.models.write_text(self.models.read_text() + "# A comment.\n")

    def count(self, text: str) -> int:
        return self.app.so_far().count(text)

    def wait_for_starts(self, starts: int) -> None:
        """Wait until the application has started several times."""
        wait_until(lambda: self.count("Ready in ") >= starts, "restart")

    def migrations(self) -> list[str]:
        folder = self.project.path / "src/app/migrations/versions"
        return sorted(path.name[29:] for path in folder.glob("2*.py"))

    def commit(self) -> None:
        git(self.project, "add", "-A")
        git(self.project, "commit", "-qm", "Change")

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


def git(project: Project, *command: str, check: bool = True) -> None:
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    project.run("git", *author, *command, check=check)


@pytest.fixture
def editor(fresh: Project) -> Iterator[Editor]:
    git(fresh, "init", "-q")
    git(fresh, "add", "-A")
    git(fresh, "commit", "-qm", "Start")
    with dev(fresh) as app:
        yield Editor(fresh, app)


TITLE = "    title: Mapped[str] = mapped_column(Text)\n"
PRICE = '    price: Mapped[int] = mapped_column(server_default="7")\n'
WEIGHT = "    weight: Mapped[int | None]\n"


@full
def test_changes_of_a_model(editor: Editor) -> None:
    item = editor.client.post(ITEMS, json={"title": "Buy milk"}).raise_for_status().json()

    # A new column exists before the new code answers requests.
    editor.edit(TITLE, TITLE + PRICE, expect="Migration created and applied")
    editor.wait_for_starts(2)
    assert editor.migrations() == ["add_price_to_items.py"]
    assert "price" in editor.columns()
    assert editor.client.get(f"{ITEMS}/{item['id']}").is_success
    assert editor.client.post(ITEMS, json={"title": "Buy bread"}).is_success

    # Another change becomes part of the same migration, and the rows are kept.
    editor.edit(PRICE, PRICE + WEIGHT, expect="Migration rewritten and applied")
    editor.wait_for_starts(3)
    assert editor.migrations() == ["add_price_and_weight_to_items.py"]
    assert editor.sql("SELECT price FROM items").split() == ["7", "7"]
    assert "already formatted" in editor.project.uv_run("ruff", "format", "--check", "src")
    editor.project.uv_run("ruff", "check", "src")

    # A syntax error is reported, and the previous code keeps running.
    editor.edit(
        TITLE,
        TITLE + "    oops(\n",
        expect="The previous code keeps running until the next change.",
    )
    assert "SyntaxError" in editor.app.so_far()
    assert editor.client.get(ITEMS).is_success

    # A committed migration is not rewritten. A destructive one waits for a confirmation.
    editor.models.write_text(editor.models.read_text().replace("    oops(\n", ""))
    editor.wait_for_starts(4)
    editor.commit()
    editor.edit(PRICE, "", expect="created, but not applied")
    editor.wait_for_starts(5)
    assert editor.migrations() == ["add_price_and_weight_to_items.py", "drop_price_from_items.py"]
    assert "price" in editor.columns()
    assert "uv run acme-orders db upgrade" in editor.app.so_far()
    assert "drop price from items" in editor.project.uv_run("acme-orders", "db", "history")

    editor.project.uv_run("acme-orders", "db", "upgrade")
    assert "price" not in editor.columns()
    assert editor.client.get(f"{ITEMS}/{item['id']}").is_success
    # The project's own tests apply all migrations to a new database.
    editor.project.uv_run("pytest", "-q", "tests/test_migrations.py")


@full
def test_no_changes(editor: Editor) -> None:
    editor.touch()
    editor.wait_for_starts(2)

    assert editor.migrations() == []


@full
def test_requests_during_a_restart(editor: Editor) -> None:
    codes = []
    editor.touch()
    while editor.count("Ready in ") < 2:
        codes.append(editor.client.get(ITEMS).status_code)
    codes += [editor.client.get(ITEMS).status_code for _ in range(20)]

    assert set(codes) == {200}


@full
def test_deleted_migration(editor: Editor) -> None:
    editor.edit(TITLE, TITLE + PRICE, expect="Migration created and applied")
    editor.wait_for_starts(2)
    next((editor.project.path / "src/app/migrations/versions").glob("2*.py")).unlink()

    editor.touch()

    editor.wait_for_starts(3)
    assert "Migration reverted, because its file is gone: add price to items" in editor.app.so_far()
    assert editor.migrations() == ["add_price_to_items.py"]
    assert "price" in editor.columns()


@full
def test_branches(editor: Editor) -> None:
    """Switch branches, stash and merge while `dev` runs."""
    editor.commit()
    git(editor.project, "switch", "-qc", "price")
    editor.edit(TITLE, TITLE + PRICE, expect="Migration created and applied")
    editor.wait_for_starts(2)
    editor.commit()

    # No data is lost: the column has its default value in all rows.
    editor.client.post(ITEMS, json={"title": "Buy milk"}).raise_for_status()
    for starts in (3, 5):
        git(editor.project, "switch", "-q", "-")
        editor.wait_for_starts(starts)
        assert "price" not in editor.columns()
        assert editor.client.get(ITEMS).is_success
        assert editor.sql("SELECT title FROM items").split() == ["Buy", "milk"]
        git(editor.project, "switch", "-q", "-")
        editor.wait_for_starts(starts + 1)
        assert "price" in editor.columns()
        assert editor.migrations() == ["add_price_to_items.py"]

    # A value would be lost, so there is a backup.
    editor.sql("UPDATE items SET price = 8")
    git(editor.project, "switch", "-q", "-")
    editor.wait_for_starts(7)
    [backup] = (editor.project.path / "backups").iterdir()
    assert f"Its data is in a backup: backups/{backup.name}" in editor.app.so_far()

    # Changes that are not committed.
    editor.edit(TITLE, TITLE + WEIGHT, expect="add_weight_to_items.py")
    editor.wait_for_starts(8)
    git(editor.project, "stash", "-qu")
    editor.wait_for_starts(9)
    assert "weight" not in editor.columns()
    git(editor.project, "stash", "pop", "-q")
    editor.wait_for_starts(10)
    assert editor.migrations() == ["add_weight_to_items.py"]
    assert "weight" in editor.columns()
    editor.commit()

    # Two branches with a migration each. `dev` continues as soon as they are merged.
    git(editor.project, "merge", "-q", "--no-edit", "price", check=False)
    models = editor.models.read_text()
    editor.models.write_text(re.sub("^(<<<|===|>>>).*\n", "", models, flags=re.M))
    git(editor.project, "add", "-A")
    git(editor.project, "commit", "-qm", "Merge")
    wait_until(lambda: editor.count("Several migrations are the latest") > 0, "advice")
    editor.project.uv_run("acme-orders", "db", "merge")
    editor.wait_for_starts(11)
    assert {"price", "weight"} <= editor.columns()
    assert f"db restore backups/{backup.name}" in editor.app.so_far()
    assert "has all migrations" in editor.project.uv_run("acme-orders", "doctor")

    editor.commit()
    # The backup is the database of the other branch, to which `dev` adds what is missing.
    git(editor.project, "switch", "-q", "price")
    editor.wait_for_starts(12)
    assert "weight" not in editor.columns()
    editor.project.uv_run("acme-orders", "db", "restore", f"backups/{backup.name}", "--yes")
    assert editor.sql("SELECT price FROM items").split() == ["8"]


@full
def test_merge_of_two_branches(fresh: Project) -> None:
    folder = fresh.path / "src/app/migrations/versions"
    for name in "ab":
        (folder / f"{name}.py").write_text(
            f'"""{name}."""\n\nrevision = "{name}"\ndown_revision = "0001"\n'
            "branch_labels = None\ndepends_on = None\n\n\n"
            "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
        )
    script = "from fastship_tooling.schema_sync.history import History; History('postgresql://')"

    output = fresh.uv_run("python", "-c", script, check=False)
    fresh.uv_run("acme-orders", "db", "merge")

    assert "Several migrations are the latest: a.py and b.py. Merge them" in output
    fresh.uv_run("python", "-c", script)


@full
def test_production_does_not_migrate(fresh: Project) -> None:
    fresh.uv_run("acme-orders", "db", "upgrade")
    script = (
        "import os, subprocess\n"
        "from app.cli.db import database_url\n"
        "os.environ['APP_ENVIRONMENT'] = 'development'\n"
        "with database_url() as url:\n"
        "    os.environ['DATABASE_URL'] = url\n"
        "    subprocess.run(['acme-orders', 'db', 'downgrade', '-y'])\n"
        "    done = subprocess.run(['acme-orders', 'serve'], timeout=60)\n"
        "    subprocess.run(['acme-orders', 'db', 'history'])\n"
        "    print('code', done.returncode)\n"
    )

    output = fresh.uv_run("python", "-c", script)

    assert "Migrations are missing. Apply them:" in output
    assert "code 1" in output
    assert "->" not in output


AUTOCOMMIT = "with op.get_context().autocommit_block():\n        "
INDEX = 'op.create_index("rows_x", "rows", ["size"], unique=True, postgresql_concurrently=True)'
VALIDATE = f'{AUTOCOMMIT}op.execute("ALTER TABLE rows VALIDATE CONSTRAINT rows_x")'
LOCKING = {
    "index": (
        "require-concurrent-index-creation",
        'op.create_index("rows_x", "rows", ["size"])',
        f'{AUTOCOMMIT}op.create_index("rows_x", "rows", ["size"], postgresql_concurrently=True)',
    ),
    "unique constraint": (
        "disallowed-unique-constraint",
        'op.create_unique_constraint("rows_x", "rows", ["size"])',
        f"{AUTOCOMMIT}{INDEX}\n"
        '    op.execute("ALTER TABLE rows ADD CONSTRAINT rows_x UNIQUE USING INDEX rows_x")',
    ),
    "not nullable": (
        "adding-not-nullable-field",
        'op.alter_column("rows", "size", nullable=False)',
        'op.execute("ALTER TABLE rows ADD CONSTRAINT rows_x CHECK (size IS NOT NULL) NOT VALID")\n'
        f'    {VALIDATE}\n    op.alter_column("rows", "size", nullable=False)\n'
        '    op.execute("ALTER TABLE rows DROP CONSTRAINT rows_x")',
    ),
    "check constraint": (
        "constraint-missing-not-valid",
        'op.create_check_constraint(op.f("rows_x"), "rows", "size > 0")',
        'op.create_check_constraint(op.f("rows_x"), "rows", "size > 0", postgresql_not_valid=True)\n'
        f"    {VALIDATE}",
    ),
    "foreign key": (
        "adding-foreign-key-constraint",
        'op.create_foreign_key("rows_x", "rows", "rows", ["size"], ["id"])',
        'op.create_foreign_key("rows_x", "rows", "rows", ["size"], ["id"], postgresql_not_valid=True)\n'
        f"    {VALIDATE}",
    ),
    "random default": (
        "adding-field-with-default",
        'op.add_column("rows", sa.Column("x", sa.Uuid, server_default=sa.func.gen_random_uuid()))',
        'op.add_column("rows", sa.Column("x", sa.Uuid))',
    ),
}
MEASURE = """
import asyncio, json, sys
from fastship_tooling.database import rehearsal, squawk
from app.cli.db import load_history
from tests.databases import execute, temporary_database
with temporary_database("0001") as url:
    create = (
        "CREATE TABLE rows (id int PRIMARY KEY, size int);"
        "INSERT INTO rows SELECT n, n FROM generate_series(1, 1000000) AS n"
    )
    asyncio.run(execute(url, create))
    rules = [finding.rule for finding in squawk.check(load_history(squawk.NO_DATABASE))]
    blocked = rehearsal.measure(url).blocked
    print(json.dumps([rules, [[what, seconds] for (_, what), seconds in blocked.items()]]))
"""


@full
def test_large_table(fresh: Project, record_property: Callable[[str, object], None]) -> None:
    path = fresh.path / "src/app/migrations/versions/a.py"

    def measure(code: str) -> tuple[list[str], str]:
        path.write_text(
            '"""Change."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
            'revision = "a"\ndown_revision = "0001"\nbranch_labels = None\ndepends_on = None\n\n\n'
            f"def upgrade() -> None:\n    {code}\n"
        )
        output = fresh.uv_run("python", "-c", MEASURE)
        rules, blocked = json.loads(output.splitlines()[-1])
        return rules, ", ".join(
            f"{what}: {seconds:.2f} s" for what, seconds in blocked
        ) or "nothing"

    for name, (rule, direct, safe) in LOCKING.items():
        found, blocked = measure(direct)
        assert (name, found) == (name, [rule])
        assert blocked != "nothing"
        left, rest = measure(safe)
        assert (name, left) == (name, [])
        figures = {"rule": f"`{rule}`", "direct": blocked, "safe": rest}
        for column, value in figures.items():
            record_property(f"{MIGRATION}{name}: {column}", value)
