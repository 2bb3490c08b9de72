"""Tables of the variants, the faults and the migrations with their figures, in `tests/report.md`."""

from collections import defaultdict
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from tests.project import PYTHON

FOLDER = Path(__file__).parent
COLUMN = "variant: "
"""Prefix of the test properties for the table of variants. The variant and the column follow."""
FAULT = "fault: "
"""Prefix of the test properties for the table of faults. The fault, a colon and the column follow."""
MIGRATION = "migration: "
"""Prefix of the test properties for the table of migrations. The migration, a colon and the column follow."""


class Report:
    """Collects the values that tests record, from all workers."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = defaultdict(dict)
        self.faults: dict[str, dict[str, object]] = defaultdict(dict)
        self.migrations: dict[str, dict[str, object]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the values of a finished test."""
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name.startswith(COLUMN):
                variant, column = name.removeprefix(COLUMN).split(" ")
                self.rows[variant][column] = value
            elif name.startswith(FAULT):
                fault, column = name.removeprefix(FAULT).split(": ")
                self.faults[fault][column] = value
            elif name.startswith(MIGRATION):
                migration, column = name.removeprefix(MIGRATION).split(": ")
                self.migrations[migration][column] = value

    def pytest_sessionfinish(self) -> None:
        """Write the tables, unless they are empty."""
        if self.rows or self.faults or self.migrations:
            environment = Environment(  # noqa: S701  Markdown, of our own
                loader=FileSystemLoader(FOLDER), extensions=["jinja2_time.TimeExtension"],
                trim_blocks=True, keep_trailing_newline=True,
            )  # fmt: skip
            text = environment.get_template("report.md.jinja").render(
                python=PYTHON,
                rows=dict(sorted(self.rows.items())),
                faults=self.faults,
                migrations=self.migrations,
            )
            (FOLDER / "report.md").write_text(text)
