"""New domains: as good as the pattern they are made after, in every variant."""

import re
import socket

import pytest

from tests.project import Project
from tests.running import dev
from tests.variants import BARE, FULL, MIXED, Variant

some = pytest.mark.parametrize(
    "variant",
    [FULL, BARE, MIXED],
    ids=str,
)
full = pytest.mark.parametrize("variant", [FULL], ids=str)

FIELDS = [
    "number:str", "note:text", "count:int", "score:float", "total:decimal", "paid:bool",
    "due:date", "sent:datetime", "key:uuid", "item:ref[items]",
]  # fmt: skip


def contents(project: Project) -> dict[str, str]:
    """Everything that git would see."""
    made = r"(^|/)(\.dev|\.env|\.venv|\.git|\.\w+_cache|__pycache__|site|uv\.lock|\.coverage)($|/)"
    return {
        path: (project.path / path).read_text()
        for path in project.files()
        if not re.search(made, path)
    }


def test_passes_lint_and_tests_at_once(fresh: Project, variant: Variant) -> None:
    fresh.uv_run("acme-orders", "openapi")
    before = contents(fresh)
    users = ["author:ref[users]"] if variant.auth else []

    fresh.uv_run("acme-orders", "feature", "new", "invoices", *FIELDS, *users)
    made = contents(fresh)
    fresh.uv_run("acme-orders", "lint")
    tests = fresh.uv_run("pytest", "-q", "tests/invoices", "tests/test_main.py")

    assert "passed" in tests
    patterns = {path for path in before if re.search(r"(^|/)items(/|\.md)", path)}
    assert {path.replace("items", "invoices") for path in patterns} <= set(made)
    assert '"/api/v1/invoices/{invoice_id}"' in made["openapi.json"]
    assert "invoices.create" in made["openapi.json"]
    if variant.database:
        [path] = [path for path in made if "create_invoices" in path]
        assert "sa.Numeric(precision=12, scale=2)" in made[path]
        fresh.uv_run("pytest", "-q", "tests/test_migrations.py")

    fresh.uv_run("acme-orders", "feature", "remove", "invoices", "--yes")
    assert contents(fresh) == before


@some
def test_all_tests_and_the_site(fresh: Project, variant: Variant) -> None:
    fresh.uv_run("acme-orders", "feature", "new", "order_lines")
    fresh.uv_run("acme-orders", "feature", "new", "people", "name:str", "--like", "order_lines")
    output = fresh.uv_run("acme-orders", "test")

    assert "Required test coverage of 80.0% reached" in output
    routes = fresh.uv_run("acme-orders", "routes")
    assert re.search(r"GET +/api/v1/order-lines/{order_line_id}", routes)
    assert re.search(r"PATCH +/api/v1/people/{person_id}", routes)
    if variant.docs:
        fresh.uv_run("acme-orders", "docs", "build")
        page = (fresh.path / "site/api/order-lines/index.html").read_text()
        assert "<h1" in page
        assert "Order lines" in page


@full
def test_while_dev_runs(fresh: Project) -> None:
    with dev(fresh) as app:
        client = app.signed_in("ada@example.com", register=True)
        fresh.uv_run("acme-orders", "feature", "new", "invoices", "total:decimal")
        for _ in range(200):
            response = client.get("/api/v1/invoices")
            if response.is_success:
                break
        created = client.post("/api/v1/invoices", json={"total": "19.90"})
    revisions = list((fresh.path / "src/app/migrations/versions").glob("2*.py"))

    assert response.json() == {"data": [], "next_cursor": None}
    assert created.json()["total"] == "19.90"
    assert len(revisions) == 1


@full
class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["items"], "There is items already"),
            (["users"], "There is a table users already"),
            (["kit"], "There is kit already"),
            (["Invoices"], "is no name for a domain"),
            (["../invoices"], "is no name for a domain"),
            (["lambda"], "is a word of Python"),
            (["invoice"], "several things: invoices"),
            (["pages"], "has a meaning in the code already"),
            (["invoices", "total:money"], "'money' is no type"),
            (["invoices", "author:ref[nobody]"], "no domain nobody"),
            (["invoices", "--like", "nothing"], "no domain nothing"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_nothing_is_written(self, fresh: Project, arguments: list[str], said: str) -> None:
        before = contents(fresh)

        output = fresh.uv_run("acme-orders", "feature", "new", *arguments, check=False)

        assert said in output
        assert "Traceback" not in output
        assert contents(fresh) == before

    def test_failure_halfway_leaves_the_tree_as_it_was(self, fresh: Project) -> None:
        before = contents(fresh)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"postgresql://127.0.0.1:{nobody.getsockname()[1]}/shop"
            output = fresh.uv_run(
                "acme-orders", "feature", "new", "invoices", check=False,
                DATABASE_URL=url, APP_ENVIRONMENT="development",
            )  # fmt: skip

        assert "Cannot connect to DATABASE_URL" in output
        assert contents(fresh) == before

    def test_committed_domain_is_not_removed(self, fresh: Project) -> None:
        fresh.uv_run("acme-orders", "feature", "new", "invoices")
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        for command in ("init -q", "add -A", "commit -qm one"):
            fresh.run("git", *identity, *command.split())
        before = contents(fresh)

        output = fresh.uv_run("acme-orders", "feature", "remove", "invoices", "--yes", check=False)

        assert "invoices is committed" in output
        assert contents(fresh) == before
