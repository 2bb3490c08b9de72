"""Check what migrations do to tables that are in use, with squawk (https://squawkhq.com)."""

import json
import re
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.console import CLIError, console
from app.cli.db import load_history
from fastship_tooling.project import command_line

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory

NO_DATABASE = "postgresql+asyncpg://"
"""URL for SQL that is not executed."""
UNCHECKED = "unchecked"
"""Rule for a migration without SQL, because it reads from the database."""
IGNORED = re.compile(r"#\s*squawk-ignore:?\s+([a-z, -]+)")
TABLE = re.compile(
    r"(?:\b(?:ALTER|CREATE|DROP) TABLE|\bON) (?:IF (?:NOT )?EXISTS )?(?:ONLY )?([\w.\"$]+)", re.I
)
VALIDATE = """\
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE {table} VALIDATE CONSTRAINT NAME")"""
INDEX = """\
    with op.get_context().autocommit_block():
        op.create_index("NAME", "{table}", [...], postgresql_concurrently=True{unique})"""
EXPAND = "Add a new column, write both, copy the values, and drop the old one in a later version."
# Other rules of squawk are about style, or about locks that are released at once. The migrations do
# not wait long for these.
RULES = {
    "adding-field-with-default": (
        "It rewrites {table}, since each row gets a value of its own. Reads and writes wait.",
        "Add the column as nullable and without the default. Fill it in batches, then set the default.",
    ),
    "adding-foreign-key-constraint": (
        "Writes to both tables wait while each row of {table} is checked.",
        f'    op.create_foreign_key("NAME", "{{table}}", ..., postgresql_not_valid=True)\n{VALIDATE}',
    ),
    "adding-not-nullable-field": (
        "Reads and writes of {table} wait while each row is checked.",
        '    op.execute("ALTER TABLE {table} ADD CONSTRAINT NAME CHECK (COLUMN IS NOT NULL) NOT VALID")\n'
        f'{VALIDATE}\n    op.alter_column("{{table}}", "COLUMN", nullable=False)\n'
        '    op.execute("ALTER TABLE {table} DROP CONSTRAINT NAME")',
    ),
    "adding-required-field": (
        "Existing rows of {table} have no value, and the version that is still serving inserts none.",
        "Add the column with a server_default, or as nullable.",
    ),
    "adding-serial-primary-key-field": (
        "Reads and writes of {table} wait until the index is built.",
        f"{INDEX.replace('{unique}', ', unique=True')}\n"
        '    op.execute("ALTER TABLE {table} ADD PRIMARY KEY USING INDEX NAME")',
    ),
    "ban-concurrent-index-creation-in-transaction": (
        "PostgreSQL does not build an index concurrently in a transaction.",
        INDEX.replace("{unique}", ""),
    ),
    "ban-drop-column": (
        "The version that is still serving may use the column.",
        "Deploy a version that does not use it first, then drop it in the next one.",
    ),
    "ban-drop-table": (
        "The version that is still serving may use {table}.",
        "Deploy a version that does not use it first, then drop it in the next one.",
    ),
    "changing-column-type": (
        "It may rewrite {table} while reads and writes wait, and the version that is still serving "
        "expects the old type.",
        f"{EXPAND} A longer VARCHAR, or TEXT instead of VARCHAR, rewrites nothing: accept it.",
    ),
    "constraint-missing-not-valid": (
        "Reads and writes of {table} wait while each row is checked.",
        f'    op.create_check_constraint(op.f("NAME"), "{{table}}", ..., postgresql_not_valid=True)\n{VALIDATE}',
    ),
    "disallowed-unique-constraint": (
        "Reads and writes of {table} wait until the index is built.",
        f"{INDEX.replace('{unique}', ', unique=True')}\n"
        '    op.execute("ALTER TABLE {table} ADD CONSTRAINT NAME UNIQUE USING INDEX NAME")',
    ),
    "renaming-column": (
        "The version that is still serving uses the old name.",
        f'Rename it in Python only: new: Mapped[...] = mapped_column("old"). Or: {EXPAND}',
    ),
    "renaming-table": (
        "The version that is still serving uses the old name.",
        "Rename the class only, and keep its __tablename__.",
    ),
    "require-concurrent-index-creation": (
        "Writes to {table} wait until the index is built.",
        INDEX.replace("{unique}", ""),
    ),
    UNCHECKED: (
        "Its SQL cannot be checked, because it reads from the database.",
        "Compute the values in SQL: op.execute(...). Or check it by hand.",
    ),
}
"""What each rule finds, and the safe way."""
GENERAL = "constraint-missing-not-valid"
"""Rule that squawk reports in addition to one that says more."""


class UnsafeMigration(CLIError):
    """A migration would block or break an application that is in use."""


@dataclass(frozen=True)
class Finding:
    """A statement that blocks or breaks an application that is in use.

    Args:
        file: Name of the migration.
        rule: Rule of squawk.
        statement: SQL.
        table: Table that it changes.
    """

    file: str
    rule: str
    statement: str
    table: str

    def __str__(self) -> str:
        """Return the statement, the problem and the safe way."""
        problem, safe = (text.replace("{table}", self.table) for text in RULES[self.rule])
        code = safe.startswith(" ")
        way = f"Safe:\n{safe}" if code else f"Safe: {safe}"
        return f"{self.file}: {self.rule}\n  {self.statement}\n  {problem} {way}"


def check(scripts: Iterable["Script"], *, together: bool = False) -> list[Finding]:
    """Return the statements that block or break an application that is in use.

    Those on tables that the same migration creates do neither, nor does the first migration.

    Args:
        scripts: Migrations, in the order in which they run.
        together: Whether they run together, so that a table of one is new for the next, too.

    Raises:
        CLIError: Squawk failed.
    """
    from alembic.script import ScriptDirectory

    from app import migrations

    created: set[str] = set()
    found = []
    config = migrations.config(NO_DATABASE)
    directory = ScriptDirectory.from_config(config)
    files = {f"{script.revision}.sql": script for script in scripts if script.down_revision}
    texts = {name: _sql(script, config, directory) for name, script in files.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            Path(folder, name).write_text(text, "utf-8")
        reported = _run_squawk(Path(folder), list(files)) if files else []
    for name, script in files.items():
        text = texts[name]
        created = {*(created if together else ()), *_created(text)}
        file, ignored = Path(script.path).name, _ignored(Path(script.path).read_text("utf-8"))
        rules: dict[str, list[str]] = {}
        for report in reported:
            if report["file"] == name and report["rule_name"] in RULES:
                statement = _statement(text, report["line"])
                rules.setdefault(statement, []).append(report["rule_name"])
        if text.endswith(UNCHECKED):
            rules["upgrade()"] = [UNCHECKED]
        for statement, names in rules.items():
            table = _table(statement)
            if table in created:
                continue
            specific = [rule for rule in names if rule != GENERAL] or names[:1]
            found += [
                Finding(file, rule, statement, table)
                for rule in dict.fromkeys(specific)
                if rule not in ignored
            ]
    return found


def warn(script: "Script") -> None:
    """Print what a new migration would do in production.

    Args:
        script: The migration.
    """
    for finding in check([script]):
        console.print(f"In production: {finding}", style="yellow", markup=False, soft_wrap=True)


def accept(script: "Script", reason: str) -> None:
    """Accept in its file what a migration does.

    Args:
        script: The migration.
        reason: Why it is accepted.
    """
    if rules := ", ".join(dict.fromkeys(finding.rule for finding in check([script]))):
        path = Path(script.path)
        comment = f"# squawk-ignore {rules}: {reason}\ndef upgrade("
        path.write_text(path.read_text("utf-8").replace("def upgrade(", comment, 1), "utf-8")


def require_safe(current: Sequence[str]) -> None:
    """Check the migrations that a deployed database lacks.

    Args:
        current: Revisions of the database. A new database has none, and no application uses it.

    Raises:
        UnsafeMigration: A migration would block or break the version that is serving.
    """
    from alembic.script import ScriptDirectory

    from app import migrations

    known = {script.revision for script in load_history(NO_DATABASE)}
    if not current or not known.issuperset(current):  # `db upgrade` reports the latter
        return
    directory = ScriptDirectory.from_config(migrations.config(NO_DATABASE))
    pending = directory.iterate_revisions("head", tuple(current), implicit_base=True)
    refuse(check([*pending][::-1], together=True))


def refuse(findings: Sequence[Finding]) -> None:
    """Raise an error that lists the findings.

    Raises:
        UnsafeMigration: There are some.
    """
    if findings:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in findings))
        raise UnsafeMigration(
            "\n".join(
                [
                    "Migrations would block or break the application while it is in use:",
                    *map(str, findings),
                    f"Change them and check again: {command_line('db check')}\n"
                    f"Or accept this with a comment in the migration: # squawk-ignore {rules}: reason",
                ]
            )
        )


def _sql(script: "Script", config: "Config", directory: "ScriptDirectory") -> str:
    """Return the SQL of a migration. That of one which reads from the database ends with `UNCHECKED`."""
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationStep

    config.output_buffer = buffer = StringIO()
    step = MigrationStep.upgrade_from_script(directory.revision_map, script)
    environment = EnvironmentContext(
        config,
        directory,
        fn=lambda *_: [step],
        as_sql=True,
        starting_rev=script.down_revision,
        destination_rev=script.revision,
    )
    try:
        with environment:
            directory.run_env()
    except Exception:  # a migration can contain any code
        return f"{buffer.getvalue()}\n-- {UNCHECKED}"
    return buffer.getvalue()


def _run_squawk(folder: Path, files: list[str]) -> list[dict[str, Any]]:
    program = Path(sysconfig.get_path("scripts"), "squawk")
    done = subprocess.run(
        [program, "--reporter", "json", *files],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    try:
        reports: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError as error:
        raise CLIError(f"squawk failed: {done.stderr.strip()} Reinstall it: uv sync") from error
    return reports


def _statement(text: str, line: int) -> str:
    """Return the statement that contains a line, in one line."""
    start = sum(map(len, text.splitlines(keepends=True)[:line]))
    before, after = text[:start].rpartition(";")[2], text[start:].partition(";")[0]
    lines = [part for part in f"{before}{after}".splitlines() if not part.startswith("--")]
    return " ".join(" ".join(lines).split())


def _table(statement: str) -> str:
    found = TABLE.search(statement)
    return found[1] if found else "the table"


def _created(text: str) -> Iterator[str]:
    yield from re.findall(r"\bCREATE TABLE (?:IF NOT EXISTS )?([\w.\"$]+)", text, re.I)


def _ignored(text: str) -> set[str]:
    return {rule.strip() for found in IGNORED.findall(text) for rule in found.split(",")}
