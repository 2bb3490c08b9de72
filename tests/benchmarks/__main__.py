"""Measurements of time: `uv run python -m tests.benchmarks [NAME ...]`."""

import re
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import httpx2
from copier import run_copy

from tests.benchmarks.jobs import jobs
from tests.benchmarks.layers import layers
from tests.benchmarks.servers import servers
from tests.benchmarks.throughput import throughput
from tests.conftest import ANSWERS, ROOT
from tests.project import Project
from tests.running import dev
from tests.variants import FULL, VARIANTS, Variant

ROUNDS = 5
IMPORT = """
import time
start = time.perf_counter()
import app.main
print(time.perf_counter() - start)
"""
PASSWORD = "correct horse battery"  # noqa: S105  a temporary account


def rendered(folder: Path, variant: Variant) -> Project:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_copy(
            str(ROOT), folder, data=ANSWERS | variant.answers,
            defaults=True, quiet=True, vcs_ref="HEAD",
        )  # fmt: skip
    return Project(folder, {})


def render(folder: Path) -> None:
    """Measure how long rendering the full variant takes, in seconds."""
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        rendered(folder / str(number), FULL)
        times.append(time.perf_counter() - start)
    print(f"render: median {statistics.median(times):.2f} s, worst {max(times):.2f} s")


def first_answer(folder: Path) -> None:
    """Measure the time from an empty folder to the first response with data, with a warm package cache."""
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
    """Measure how long the tests of each variant take, in seconds."""
    print("| variant | tests | seconds | coverage |\n| --- | --- | --- | --- |")
    for variant in VARIANTS:
        project = rendered(folder / str(variant), variant)
        project.run("uv", "sync", "--quiet")
        project.uv_run(
            "acme-orders", "test"
        )  # compiles the modules and creates the database cluster
        start = time.perf_counter()
        output = project.uv_run("acme-orders", "test")
        seconds = time.perf_counter() - start
        project.remove_database()
        count = re.search(r"(\d+) passed", output)
        coverage = re.search(r"Total coverage: ([\d.]+)%", output)
        assert count
        assert coverage
        print(f"| {variant} | {count[1]} | {seconds:.1f} | {coverage[1]} % |", flush=True)


def p99(url: str, path: str, token: str, count: int) -> float:
    """Return the 99th percentile of the response times of a path, in milliseconds."""
    with httpx2.Client(base_url=url, headers={"authorization": token}, timeout=60) as client:
        times = []
        for _ in range(count):
            start = time.perf_counter()
            client.get(path)
            times.append(time.perf_counter() - start)
    return statistics.quantiles(times, n=100)[98] * 1000


def logins(folder: Path) -> None:
    """Measure sign-ins and their effect on other requests, with one worker and without rate limits."""
    project = rendered(folder / "project", FULL)
    with dev(project, AUTH_RATE_LIMITS="false") as app:
        client = app.signed_in("ada@example.com", register=True)
        token = client.headers["authorization"]
        for number in range(20):
            client.post("/api/v1/items", json={"title": f"Item {number}"})

        def log_in(email: str = "ada@example.com", password: str = PASSWORD) -> tuple[int, float]:
            start = time.perf_counter()
            form = {"username": email, "password": password}
            response = httpx2.post(f"{app.url}/api/v1/auth/token", data=form, timeout=60)
            return response.status_code, time.perf_counter() - start

        print("| path | at once | sign-ins a second | refused | p99 idle | p99 meanwhile |")
        print("| --- | --- | --- | --- | --- | --- |")
        for path in ("/health/live", "/api/v1/items"):
            p99(app.url, path, token, 200)
            idle = p99(app.url, path, token, 1000)
            for at_once in (8, 60):
                # The probe runs in another process, so it measures the server, not the load generator.
                with ProcessPoolExecutor(1) as prober, ThreadPoolExecutor(at_once) as pool:
                    busy = prober.submit(p99, app.url, path, token, 1000)
                    start = time.perf_counter()
                    codes: Counter[int] = Counter()
                    while not busy.done():
                        codes.update(code for code, _ in pool.map(lambda _: log_in(), range(60)))
                    rate = codes[200] / (time.perf_counter() - start)
                    refused = codes.total() - codes[200]
                print(
                    f"| {path} | {at_once} | {rate:.1f} | {refused} of {codes.total()} "
                    f"| {idle:.1f} ms | {busy.result():.1f} ms |"
                )
        wrong = statistics.median(log_in(password=PASSWORD + "!")[1] for _ in range(60))
        unknown = statistics.median(log_in(f"nobody{n}@example.com")[1] for n in range(60))
        print(
            f"wrong password {wrong * 1000:.1f} ms, unknown user {unknown * 1000:.1f} ms (median)"
        )
    project.remove_database()


def timed(project: Project, *command: str) -> float:
    """Return the duration of a command without uv, in seconds."""
    start = time.perf_counter()
    project.run(".venv/bin/acme-orders", *command)
    return time.perf_counter() - start


def commands(folder: Path) -> None:
    """Measure frequent commands."""
    project = rendered(folder / "project", FULL)
    project.run("uv", "sync", "--quiet")
    rounds = {
        "--help": ["--help"],
        "feature new": ["feature", "new", "invoices", "total:decimal"],
        "client generate": ["client", "generate"],
    }
    project.run(".venv/bin/acme-orders", "openapi")  # compiles the modules
    for name, command in rounds.items():
        times = []
        for _ in range(ROUNDS):
            times.append(timed(project, *command))
            if name == "feature new":
                timed(project, "feature", "remove", "invoices", "--yes")
            shutil.rmtree(project.path / "clients", ignore_errors=True)
        print(f"{name}: median {statistics.median(times):.2f} s, worst {max(times):.2f} s")
    project.remove_database()


def saved_model(folder: Path) -> None:
    """Measure the time from saving a model to the first response with the new column, in seconds."""
    project = rendered(folder / "project", FULL)
    models = project.path / "src/app/items/models.py"
    schemas = project.path / "src/app/items/schemas.py"
    first = "    title: Mapped[str] = mapped_column(Text)\n"
    times = []
    with dev(project) as app:
        client = app.signed_in("ada@example.com", register=True)
        item = client.post("/api/v1/items", json={"title": "Buy milk"}).json()
        for number in range(ROUNDS):
            field = f"extra_{number}"
            schemas.write_text(
                schemas.read_text().replace(
                    "    title: str =", f"    {field}: int = 0\n    title: str =", 1
                )
            )
            column = f'    {field}: Mapped[int] = mapped_column(server_default="7")\n'
            models.write_text(models.read_text().replace(first, first + column))
            start = time.perf_counter()
            while field not in client.get("/api/v1/items").json()["data"][0]:
                time.sleep(0.02)
            times.append(time.perf_counter() - start)
        assert client.get("/api/v1/items").json()["data"][0]["extra_0"] == 7
        assert item["id"]
    project.remove_database()
    first_one, *others = times
    print(
        f"saved model: first change {first_one:.1f} s, "
        f"further changes: median {statistics.median(others):.1f} s, worst {max(others):.1f} s"
    )


def starts(folder: Path) -> None:
    """Measure a later start of `dev`, a saved file and the imports, in seconds, with four domains."""
    project = rendered(folder / "project", FULL)
    project.run("uv", "sync", "--quiet")
    for domain in ("invoices", "customers", "projects"):
        project.uv_run("acme-orders", "feature", "new", domain, "total:decimal")
    service = project.path / "src/app/health/router.py"
    text = service.read_text()
    started, saved = [], []
    with dev(project):
        pass  # the first start
    for number in range(ROUNDS):
        start = time.perf_counter()
        with dev(project) as app:
            started.append(time.perf_counter() - start)
            client = app.client()
            start = time.perf_counter()
            service.write_text(text.replace('"Check liveness"', f'"Check liveness {number}"'))
            while f"liveness {number}" not in client.get("/openapi.json").text:
                time.sleep(0.02)
            saved.append(time.perf_counter() - start)
    imported = [float(project.run(".venv/bin/python", "-c", IMPORT)) for _ in range(ROUNDS)]
    project.remove_database()
    for name, times in {"later start": started, "saved file": saved, "imports": imported}.items():
        print(f"{name}: median {statistics.median(times):.2f} s, worst {max(times):.2f} s")


def compare_servers(folder: Path) -> None:
    """Compare the production servers."""
    servers(rendered(folder / "project", FULL))


def measure_layers(folder: Path) -> None:
    """Measure the parts of a request."""
    layers(rendered(folder / "project", FULL))


def compare_with_bare(folder: Path) -> None:
    """Compare the cost of requests with that of a minimal application."""
    throughput(rendered(folder / "project", FULL))


def measure_jobs(folder: Path) -> None:
    """Measure background jobs."""
    jobs(rendered(folder / "project", FULL))


BENCHMARKS: dict[str, Callable[[Path], None]] = {
    "render": render,
    "first-answer": first_answer,
    "project-tests": project_tests,
    "logins": logins,
    "commands": commands,
    "saved-model": saved_model,
    "starts": starts,
    "servers": compare_servers,
    "throughput": compare_with_bare,
    "layers": measure_layers,
    "jobs": measure_jobs,
}


def main() -> None:
    for name in sys.argv[1:] or BENCHMARKS:
        folder = Path(tempfile.mkdtemp())
        try:
            BENCHMARKS[name](folder)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
