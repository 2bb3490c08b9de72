"""The page that a run of the tests leaves: a table of the variants, in `tests/report.md`."""

from collections import defaultdict
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from tests.project import PYTHON

FOLDER = Path(__file__).parent
COLUMN = "variant: "
"""Properties of tests that begin so are of the table: the variant, and the column."""


class Report:
    """Collects what tests noted of a variant, from all workers."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a finished test noted."""
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name.startswith(COLUMN):
                variant, column = name.removeprefix(COLUMN).split(" ")
                self.rows[variant][column] = value

    def pytest_sessionfinish(self) -> None:
        """Write the page, if there is something to tell."""
        if self.rows:
            environment = Environment(  # noqa: S701  Markdown, of our own
                loader=FileSystemLoader(FOLDER), extensions=["jinja2_time.TimeExtension"],
                trim_blocks=True, keep_trailing_newline=True,
            )  # fmt: skip
            text = environment.get_template("report.md.jinja").render(
                python=PYTHON, rows=dict(sorted(self.rows.items()))
            )
            (FOLDER / "report.md").write_text(text)
