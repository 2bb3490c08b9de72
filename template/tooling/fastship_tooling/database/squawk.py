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
from typing import TYPE_CHECKING

from app.cli.console import CLIError, console
from app.cli.db import load_history
from fastship_tooling.database.squawk_rules import GENERAL, RULES, UNCHECKED
from fastship_tooling.project import command_line

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory

NO_DATABASE = "postgresql+asyncpg://"
"""URL for SQL that is not executed."""
IGNORED = re.compile(r"#\s*squawk-ignore:?\s+([a-z, -]+)")
TABLE = re.compile(
    r"(?:\b(?:ALTER|CREATE|DROP) TABLE|\bON) (?:IF (?:NOT )?EXISTS )?(?:ONLY )?([\w.\"$]+)", re.I
)


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

    config = migrations.config(NO_DATABASE)
    directory = ScriptDirectory.from_config(config)
    checked = [script for script in scripts if script.down_revision]
    texts = [_sql(script, config, directory) for script in checked]
    created: set[str] = set()
    found: list[Finding] = []
    for script, text, rules in zip(checked, texts, _run_squawk(texts), strict=True):
        created = {*(created if together else ()), *_created(text)}
        found += _findings(script, text, rules, created)
    return found


def _findings(
    script: "Script", text: str, rules: list[tuple[int, str]], created: set[str]
) -> Iterator[Finding]:
    """Yield the findings of a migration.

    Args:
        script: The migration.
        text: Its SQL.
        rules: Lines of the SQL, and rules of squawk.
        created: Tables to ignore.
    """
    path = Path(script.path)
    ignored = _ignored(path.read_text("utf-8"))
    by_statement: dict[str, list[str]] = {}
    for line, rule in rules:
        by_statement.setdefault(_statement(text, line), []).append(rule)
    if text.endswith(UNCHECKED):
        by_statement["upgrade()"] = [UNCHECKED]
    for statement, names in by_statement.items():
        table = _table(statement)
        specific = [rule for rule in names if rule != GENERAL] or [GENERAL]
        for rule in dict.fromkeys(specific):
            if table not in created and rule not in ignored:
                yield Finding(path.name, rule, statement, table)


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


def _run_squawk(texts: list[str]) -> list[list[tuple[int, str]]]:
    """Return the lines and rules that squawk reports for each of several texts."""
    found: list[list[tuple[int, str]]] = [[] for _ in texts]
    if not texts:
        return found
    program = str(Path(sysconfig.get_path("scripts"), "squawk"))
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            Path(folder, f"{number}.sql").write_text(text, "utf-8")
        command = [program, "--reporter", "json", "*.sql"]
        try:
            done = subprocess.run(
                command,
                check=False,
                cwd=folder,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
            )
            reports = json.loads(done.stdout)
        except (OSError, ValueError) as error:
            raise CLIError(f"squawk does not run: {error}. Install it again: uv sync") from error
    for report in reports:
        if report["rule_name"] in RULES:
            found[int(Path(report["file"]).stem)].append((report["line"], report["rule_name"]))
    return found


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
    kind = "(?:UNLOGGED TABLE|TABLE|MATERIALIZED VIEW)"
    yield from re.findall(rf'\bCREATE {kind} (?:IF NOT EXISTS )?([\w."$]+)', text, re.I)


def _ignored(text: str) -> set[str]:
    return {rule.strip() for found in IGNORED.findall(text) for rule in found.split(",")}
