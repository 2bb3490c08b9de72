"""Figures that need a clock, and so are no tests: `uv run python -m tests.benchmarks [NAME ...]`."""

import re
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import httpx2
from copier import run_copy

from tests.conftest import ANSWERS, ROOT
from tests.project import Project
from tests.running import dev
from tests.variants import FULL, VARIANTS, Variant

ROUNDS = 5


def rendered(folder: Path, variant: Variant) -> Project:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_copy(
            str(ROOT), folder, data=ANSWERS | variant.answers,
            defaults=True, quiet=True, vcs_ref="HEAD",
        )  # fmt: skip
    return Project(folder, {})


def render(folder: Path) -> None:
    """Time a render of the full variant, in seconds."""
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        rendered(folder / str(number), FULL)
        times.append(time.perf_counter() - start)
    print(f"render: median {statistics.median(times):.2f} s, worst {max(times):.2f} s")


def first_answer(folder: Path) -> None:
    """Time from an empty folder to the first 200 from PostgreSQL, with a warm package cache."""
    rendered(folder / "warm", FULL).run("uv", "sync", "--quiet")
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        project = rendered(folder / str(number), FULL)
        with dev(project) as app:
            client = app.signed_in("ada@example.com", register=True)
            assert client.get("/api/v1/items").status_code == httpx2.codes.OK
            times.append(time.perf_counter() - start)
        project.remove_database()
    print(f"first answer: median {statistics.median(times):.1f} s, worst {max(times):.1f} s")


def project_tests(folder: Path) -> None:
    """Time each variant's own tests, in seconds."""
    print("| variant | tests | seconds | coverage |\n| --- | --- | --- | --- |")
    for variant in VARIANTS:
        project = rendered(folder / str(variant), variant)
        project.run("uv", "sync", "--quiet")
        project.uv_run("acme-orders", "test")  # imports are compiled, the database is made
        start = time.perf_counter()
        output = project.uv_run("acme-orders", "test")
        seconds = time.perf_counter() - start
        project.remove_database()
        count = re.search(r"(\d+) passed", output)
        coverage = re.search(r"Total coverage: ([\d.]+)%", output)
        assert count
        assert coverage
        print(f"| {variant} | {count[1]} | {seconds:.1f} | {coverage[1]} % |", flush=True)


BENCHMARKS: dict[str, Callable[[Path], None]] = {
    "render": render,
    "first-answer": first_answer,
    "project-tests": project_tests,
}


def main() -> None:
    for name in sys.argv[1:] or BENCHMARKS:
        folder = Path(tempfile.mkdtemp())
        try:
            BENCHMARKS[name](folder)
        finally:
            shutil.rmtree(folder)


main()
