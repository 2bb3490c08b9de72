"""`feature new` and `feature remove` in the variants."""

import re
import socket
import time
from pathlib import Path
from textwrap import indent

import httpx2
import pytest

from tests.project import Project
from tests.running import Running, dev
from tests.test_migrating import Editor, git, wait_until
from tests.test_running import ITEMS
from tests.variants import BARE, FULL, MIXED, Variant

some = pytest.mark.parametrize("variant", [FULL, BARE, MIXED], ids=str)
full = pytest.mark.parametrize("variant", [FULL], ids=str)

FIELDS = [
    "number:str", "note:text", "count:int", "score:float", "total:decimal", "paid:bool", "due:date",
    "sent:datetime", "key:uuid", "discount:decimal=0.50", "reason:text=", "status:str=new", "pieces:int=1",
    "weight:float=0.5", "is_open:bool=true", "shipped:date?", "remark:str?", "rating:int?=3",
    "state:enum[draft,on-hold,paid]:filter=draft", "phase:enum[one]?", "tax:decimal:filter,sort",
    "closed:bool:filter=false", "title:str:filter,sort", "day:date:filter,sort", "hour:datetime:filter,sort",
]  # fmt: skip
STORED = [
    "code:str:unique,sort",
    "serial:int:unique,filter",
    "token:uuid:unique",
    "items:many[items]",
]
"""Fields that need a database."""
GENERATED = r"(^|/)(\.dev|\.env|\.venv|\.git|\.\w+_cache|__pycache__|site|uv\.lock|\.coverage)($|/)"


def contents(project: Project) -> dict[str, str]:
    """Return the content of the files that git would track."""
    return {
        path: (project.path / path).read_text()
        for path in project.files()
        if not re.search(GENERATED, path)
    }


def test_new_and_remove(fresh: Project, variant: Variant) -> None:
    fresh.uv_run("acme-orders", "openapi")
    before = contents(fresh)
    references = ["item:ref[items]:filter", "other:ref[items]?"] + [
        "author:ref[users]"
    ] * variant.auth
    stored = STORED if variant.database else []

    fresh.uv_run("acme-orders", "feature", "new", "invoices", *FIELDS, *references, *stored)
    after = contents(fresh)
    fresh.uv_run("acme-orders", "lint")
    tests = fresh.uv_run("pytest", "-q", "tests/invoices", "tests/test_main.py")

    assert "passed" in tests
    assert "failed" not in tests
    example = {path for path in before if re.search(r"(^|/)items(/|\.md)", path)}
    expected = {path.replace("items", "invoices") for path in example}
    assert expected - set(after) <= {"tests/invoices/seeds.py"}
    assert '"/api/v1/invoices/{invoice_id}"' in after["openapi.json"]
    if variant.database:
        [path] = [path for path in after if "create_invoice" in path]
        assert "sa.Numeric(precision=12, scale=2)" in after[path]
        fresh.uv_run("pytest", "-q", "tests/test_migrations.py")

    fresh.uv_run("acme-orders", "feature", "remove", "invoices", "--yes")
    assert contents(fresh) == before


DIFFICULT = [
    "categories name:str parent:ref[categories]?:filter",
    "mice name:str weight:decimal=1.5",
    "traps mouse:ref[mice]",
    "badges kind:enum[only]",
    "units size:int:filter",
]
WITH_ACCOUNTS = ["memberships item:ref[items] user:ref[users] reviewer:ref[users]?"]


@pytest.mark.parametrize("variant", [FULL, BARE], ids=str)
def test_difficult_domains(fresh: Project, variant: Variant) -> None:
    """Trees, irregular plurals, domains without values to change, and references to users."""
    for domain in DIFFICULT + WITH_ACCOUNTS * variant.auth:
        fresh.uv_run("acme-orders", "feature", "new", *domain.split())
    fresh.uv_run("acme-orders", "openapi")
    schema = (fresh.path / "openapi.json").read_text()
    fresh.uv_run("acme-orders", "lint")
    tests = fresh.uv_run("pytest", "-q", "tests")
    for domain in ("traps", "mice", "categories"):
        fresh.uv_run("acme-orders", "feature", "remove", domain, "--yes")

    assert "failed" not in tests
    assert '"operationId": "mice.create"' in schema
    assert "Create a unit" in schema


@full
def test_deleted_account(fresh: Project) -> None:
    """A record that another user references optionally stays, as another version."""
    fresh.uv_run("acme-orders", "feature", "new", "tasks", "title:str", "reviewer:ref[users]?")
    with dev(fresh) as app:
        ada, eve = [app.signed_in(f"{n}@example.com", register=True) for n in ("ada", "eve")]
        reviewer = eve.get("/api/v1/auth/me").json()["id"]
        body = {"title": "Write", "reviewer_id": reviewer}
        url = f"/api/v1/tasks/{ada.post('/api/v1/tasks', json=body).json()['id']}"
        etag = ada.get(url).headers["etag"]
        deleted = eve.request(
            "DELETE", "/api/v1/auth/me", json={"current_password": "correct horse battery"}
        )
        left = ada.get(url, headers={"if-none-match": etag})

    assert deleted.status_code == 204
    assert (left.status_code, left.json()["reviewer_id"]) == (200, None)


@full
def test_references(fresh: Project) -> None:
    fresh.uv_run("acme-orders", "feature", "new", "invoices", "item:ref[items]", "note:str")
    with dev(fresh) as app:
        ada, eve = [app.signed_in(f"{n}@example.com", register=True) for n in ("ada", "eve")]
        item = ada.post(ITEMS, json={"title": "Buy milk"}).json()
        theirs = eve.post(ITEMS, json={"title": "Buy bread"}).json()
        url = "/api/v1/invoices"
        own = ada.post(url, json={"item_id": item["id"], "note": "x"})
        foreign = ada.post(url, json={"item_id": theirs["id"], "note": "x"})
        missing = ada.post(url, json={"item_id": own.json()["id"], "note": "x"})
        changed = ada.patch(f"{url}/{own.json()['id']}", json={"item_id": theirs["id"]})
        deleted = ada.delete(f"{ITEMS}/{item['id']}")
        account = ada.request(
            "DELETE", "/api/v1/auth/me", json={"current_password": "correct horse battery"}
        )
        left = eve.get(ITEMS).json()["data"]

    assert own.status_code == 201
    # The row of another user is rejected like one that does not exist.
    assert (foreign.status_code, missing.status_code, changed.status_code) == (422, 422, 422)
    assert foreign.json()["errors"] == missing.json()["errors"]
    assert deleted.status_code == 409
    assert deleted.json()["type"] == "urn:problem-type:conflict"
    assert account.status_code == 204
    assert left == [theirs]


DOMAINS = [
    "products title:str price:decimal:sort,filter --superuser --public",
    "tags name:str:unique",
    "posts date:date title:str type:enum[news,note]:filter=note tags:many[tags] --public",
    "customers name:str:unique",
    "invoices number:str:unique status:enum[draft,sent,paid]:filter=draft customer:ref[customers]:filter"
    " tags:many[tags] due_on:date?:filter",
    "invoice_lines invoice:ref[invoices]:filter product:ref[products]? total:decimal",
]
EXPORT = '''
@router.get("/export", summary="Export invoices")
async def export_invoices(request: Request, invoices: Invoices) -> StreamingResponse:
    """Return all invoices of the user as CSV."""
    statement = select(models.Invoice).where(models.Invoice.owner_id == invoices.owner.id)

    async def lines() -> AsyncIterator[str]:
        async with open_session(request.app) as session:
            async for invoice in await session.stream_scalars(statement):
                yield f"{invoice.number},{invoice.status}\\n"

    return StreamingResponse(lines(), media_type="text/csv")


'''
EXPORT_IMPORTS = """from collections.abc import AsyncIterator
from fastapi import Request
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from app.database import open_session
from app.invoices import models
"""
OUTBOX_TEST = """from httpx2 import AsyncClient

from tests.auth.fixtures import Outbox


async def test_outbox(anonymous: AsyncClient, outbox: Outbox) -> None:
    body = {"email": "grace@example.com", "password": "correct horse battery"}
    await anonymous.post("/api/v1/auth/register", json=body)

    assert outbox.to("grace@example.com")
"""


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that occurs once."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@full
def test_product(fresh: Project) -> None:
    """Build a product by commands and edits, attack it as another user, and switch branches."""
    for domain in DOMAINS:
        fresh.uv_run("acme-orders", "feature", "new", *domain.split())
    invoices = fresh.path / "src/app/invoices"
    router = invoices / "router.py"
    edit(router, '@router.get("/{invoice_id}"', EXPORT.lstrip() + '@router.get("/{invoice_id}"')
    router.write_text(EXPORT_IMPORTS + router.read_text())
    (fresh.path / "tests/invoices/test_outbox.py").write_text(OUTBOX_TEST)
    fresh.uv_run("ruff", "check", "--quiet", "--fix", "src")
    git(fresh, "init", "-q")
    git(fresh, "add", "-A")
    git(fresh, "commit", "-qm", "Start")

    with dev(fresh) as app:
        editor = Editor(fresh, app)
        ada, eve = editor.client, app.signed_in("eve@example.com", register=True)
        attack_posts(app, ada, eve)
        attack_invoices(ada, eve)

        # A column exists on one branch only.
        common = fields(ada)
        git(fresh, "switch", "-qc", "paid")
        editor.models = invoices / "models.py"
        edit(invoices / "schemas.py", UPDATED, PAID_ON + UPDATED)
        due = "    due_on: Mapped[date | None]\n"
        editor.edit(due, due + "    paid_on: Mapped[date | None]\n", expect="created and applied")
        wait_until(lambda: fields(ada) == common | {"paid_on"}, "column in the API")
        editor.commit()
        git(fresh, "switch", "-q", "-")
        wait_until(lambda: fields(ada) == common, "code of the branch")
        git(fresh, "switch", "-q", "-")
        wait_until(lambda: fields(ada) == common | {"paid_on"}, "code of the branch")

        # The table of a committed domain is dropped by a migration.
        output = fresh.uv_run("acme-orders", "feature", "remove", "posts", "--yes")
        assert "Commit the new migration with the code." in output
        wait_until(lambda: ada.get("/api/v1/posts").status_code == 404, "removal")
        assert fields(ada) == common | {"paid_on"}
    assert "reverted, because its file is gone: add paid_on to invoices" in app.output
    assert any(name.startswith("drop_post") for name in editor.migrations())

    editor.commit()
    fresh.uv_run("acme-orders", "lint")
    tests = fresh.uv_run("pytest", "-q", "tests/invoices", "tests/test_migrations.py")
    assert "failed" not in tests
    fresh.uv_run("acme-orders", "client", "generate", "python")
    fresh.uv_run("acme-orders", "docs", "build")
    assert "Invoices" in (fresh.path / "site/api/invoices/index.html").read_text()


UPDATED = """    created_at: datetime = Field(description="Creation time (UTC).")
"""
PAID_ON = """    paid_on: date | None = Field(description="Date of the payment.", examples=["2026-05-17"])
"""


def fields(client: httpx2.Client) -> set[str]:
    """Return the fields of an invoice, or none while `dev` restarts."""
    response = client.get("/api/v1/invoices")
    return set(response.json()["data"][0]) if response.is_success else set()


def attack_posts(app: Running, ada: httpx2.Client, eve: httpx2.Client) -> None:
    """Call endpoints that everyone can read."""
    tag, theirs = [user.post("/api/v1/tags", json={"name": "new"}).json() for user in (ada, eve)]
    body = {"title": "First", "date": "2026-05-17", "tag_ids": [tag["id"]]}
    post = ada.post("/api/v1/posts", json=body).json()
    url = f"/api/v1/posts/{post['id']}"
    foreign = ada.patch(url, json={"tag_ids": [theirs["id"]]})
    again = ada.post("/api/v1/tags", json={"name": "new"})
    public = app.client().get("/api/v1/posts", params={"type": "note"}).json()["data"]
    changed = eve.patch(url, json={"title": "Second"})
    refused = ada.post("/api/v1/products", json={"title": "Chair", "price": "1"})
    removed = ada.delete(f"/api/v1/tags/{tag['id']}")
    left = app.client().get(url).json()

    assert (foreign.status_code, foreign.json()["errors"][0]["pointer"]) == (422, "/tag_ids")
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (409, "/name")
    assert public == [post]
    assert (changed.status_code, refused.status_code) == (404, 403)
    assert removed.status_code == 204
    assert left["tag_ids"] == []


def attack_invoices(ada: httpx2.Client, eve: httpx2.Client) -> None:
    """Call endpoints with references to records of another user."""
    customers, invoices, tags = "/api/v1/customers", "/api/v1/invoices", "/api/v1/tags"
    tag = ada.post(tags, json={"name": "urgent"}).raise_for_status().json()["id"]
    customer, own = [user.post(customers, json={"name": "A"}).json()["id"] for user in (ada, eve)]
    body = {"number": "1", "customer_id": customer, "tag_ids": [tag]}
    invoice = ada.post(invoices, json=body).raise_for_status().json()
    # Numbers are unique for each user.
    mine = eve.post(invoices, json={"number": "1", "customer_id": own}).raise_for_status().json()
    url, its_url = f"{invoices}/{invoice['id']}", f"{invoices}/{mine['id']}"
    line = {"total": "9.90", "invoice_id": invoice["id"]}

    rejected = [
        eve.post(invoices, json=body | {"number": "2", "tag_ids": []}),
        eve.post(invoices, json=body | {"number": "2", "customer_id": own}),
        eve.patch(its_url, json={"customer_id": customer}),
        eve.patch(its_url, json={"tag_ids": [tag]}),
        eve.post("/api/v1/invoice-lines", json=line),
        ada.patch(url, json={"status": "lost"}),
    ]
    hidden = [eve.get(url), eve.patch(url, json={"status": "paid"}), eve.delete(url)]
    found = eve.get(invoices, params={"customer_id": customer}).json()["data"]
    created = ada.post("/api/v1/invoice-lines", json=line)
    conflicts = [ada.delete(f"{customers}/{customer}"), ada.delete(url)]
    exports = [user.get(f"{invoices}/export").text for user in (ada, eve)]
    sent = ada.patch(url, json={"status": "sent"}).json()

    assert [response.status_code for response in rejected] == [422] * 6
    assert [response.status_code for response in hidden] == [404] * 3
    assert found == []
    assert created.status_code == 201
    assert [response.status_code for response in conflicts] == [409] * 2
    assert exports == ["1,draft\n"] * 2
    assert (sent["status"], sent["tag_ids"]) == ("sent", [tag])


def test_project_without_the_example(fresh: Project, variant: Variant) -> None:
    output = fresh.uv_run("acme-orders", "feature", "remove", "items", "--yes")
    assert "Remove what describes the domain:\n  README.md\n" in output
    assert not [path for path in contents(fresh) if re.search(r"(^|/)items(/|\.md)", path)]

    fresh.uv_run("acme-orders", "feature", "new", "order_lines", "name:str", "amount:int=1")
    fresh.uv_run("acme-orders", "lint")
    tests = fresh.uv_run("acme-orders", "test")

    assert "Required test coverage of 80.0% reached" in tests
    if variant.docs:
        fresh.uv_run("acme-orders", "docs", "build")
        assert "Order lines" in (fresh.path / "site/api/order-lines/index.html").read_text()


@some
def test_example_is_what_the_pattern_produces(fresh: Project) -> None:
    before = contents(fresh)

    fresh.uv_run("acme-orders", "feature", "remove", "items", "--yes")
    fresh.uv_run("acme-orders", "feature", "new", "items", "title:str", "description:text=")
    after = contents(fresh)

    # The example has values of its own, and seeds.
    own = r"items/(schemas|models|factories|seeds)\.py|^tests/seeds\.py|^src/app/migrations/versions/2"
    different = {path for path in before | after if before.get(path) != after.get(path)}
    assert not {path for path in different if not re.search(own, path)}


@some
def test_copy_of_another_domain(fresh: Project) -> None:
    fresh.uv_run("acme-orders", "feature", "new", "order_lines")
    fresh.uv_run("acme-orders", "feature", "new", "people", "name:str", "--like", "order_lines")
    tests = fresh.uv_run("acme-orders", "test")

    assert "Required test coverage of 80.0% reached" in tests
    routes = fresh.uv_run("acme-orders", "routes")
    assert re.search(r"GET +/api/v1/order-lines/{order_line_id}", routes)
    assert re.search(r"PATCH +/api/v1/people/{person_id}", routes)


@full
def test_while_dev_runs(fresh: Project) -> None:
    with dev(fresh) as app:
        client = app.signed_in("ada@example.com", register=True)
        fresh.uv_run("acme-orders", "feature", "new", "invoices", "total:decimal")
        deadline = time.monotonic() + 60
        while not client.get("/api/v1/invoices").is_success and time.monotonic() < deadline:
            time.sleep(0.1)
        empty = client.get("/api/v1/invoices")
        created = client.post("/api/v1/invoices", json={"total": "19.90"})
    revisions = list((fresh.path / "src/app/migrations/versions").glob("2*.py"))

    assert empty.json() == {"data": [], "next_cursor": None}
    assert created.json()["total"] == "19.90"
    assert len(revisions) == 1


@full
class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("new items", "items already exists in src/app or tests."),
            ("new users", "The table users already exists."),
            ("new Invoices", "'Invoices' is not a valid domain name."),
            ("new ../invoices", "'../invoices' is not a valid domain name."),
            ("new classes", "class is a keyword of Python."),
            ("new invoice", "invoice is not a plural. Did you mean invoices?"),
            ("new pages", "already uses the name pages. Choose another name, such as page_entries."),
            ("new types", "Pass another singular, such as --singular type_entry"),
            ("new invoices --like items --public", "With --like, the copy has the access of its pattern."),
            ("new invoices status:enum[a,A]", "The values 'a,A' of the field status are not valid."),
            ("new invoices total:money", "The type 'money' of the field total does not exist. Types:"),
            ("new invoices total:decimal=NaN", "'NaN' is not a valid default for total"),
            ("new invoices author:ref[nobody]", "the domain nobody, which does not exist"),
            ("new invoices --like nothing", "There is no domain nothing in src/app."),
            ("remove nothing --yes", "There is no domain nothing in src/app."),
            ("remove users --yes", "There is no domain users in src/app."),
        ],
    )  # fmt: skip
    def test_invalid_arguments(self, fresh: Project, arguments: str, message: str) -> None:
        before = contents(fresh)

        output = fresh.uv_run("acme-orders", "feature", *arguments.split(), check=False)

        assert message in output
        assert "Traceback" not in output
        assert contents(fresh) == before

    def test_unavailable_database(self, fresh: Project) -> None:
        before = contents(fresh)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"postgresql://127.0.0.1:{unused.getsockname()[1]}/shop"
            output = fresh.uv_run(
                "acme-orders", "feature", "new", "invoices", check=False,
                DATABASE_URL=url, APP_ENVIRONMENT="development",
            )  # fmt: skip

        assert "Cannot connect to the database" in output
        assert contents(fresh) == before

    def test_referenced_domain(self, fresh: Project) -> None:
        fresh.uv_run("acme-orders", "feature", "new", "invoices", "item:ref[items]")
        before = contents(fresh)

        output = fresh.uv_run("acme-orders", "feature", "remove", "items", "--yes", check=False)

        assert "Other code uses items. Change it first:" in output
        assert "src/app/invoices/models.py" in output
        assert contents(fresh) == before


@full
def test_commands_of_a_domain(fresh: Project) -> None:
    page = (fresh.path / "docs/development/contributing.md").read_text()
    sample = page.partition("## Add a command")[2].partition("```python\n")[2].partition("```")[0]
    commands = fresh.path / "src/app/items/commands.py"
    commands.write_text(sample)
    fresh.uv_run("ruff", "check", "src")
    fresh.uv_run("ruff", "format", "--check", "src")
    fresh.uv_run("mypy")

    fresh.uv_run("acme-orders", "db", "upgrade", APP_ENVIRONMENT="development")
    output = fresh.uv_run("acme-orders", "items", "count", APP_ENVIRONMENT="development")
    assert "0 items" in output

    (fresh.path / "src/app/serve").mkdir()
    (fresh.path / "src/app/serve/commands.py").write_text(sample)
    output = fresh.uv_run("acme-orders", "serve", "--help")
    assert "The commands of serve are missing. ValueError: There is another command" in output
    assert "Start the production server." in output

    commands.write_text(f"{sample})\n")
    output = fresh.uv_run("acme-orders", "doctor", check=False)
    assert "The commands of items are missing. SyntaxError: unmatched ')'" in output


RECORDS_WITH_LINES = """
from uuid import UUID
from sqlalchemy import ForeignKey, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload
from app.database import Entity
from app.reader import rows_of

{models}

async def test(session: AsyncSession) -> None:
    await (await session.connection()).run_sync(Entity.metadata.create_all)
{service}
    assert [line.product for line in loaded.lines] == ["Milk", "Tea"]
    rows = [dict(id=order.id)]

    class reader:
        @staticmethod
        async def all(statement, **parameters):
            return rows_of(await session.execute(statement, parameters))

{reader}
    assert [line["product"] for line in lines] == ["Milk", "Tea"]
"""


@full
def test_records_with_lines(fresh: Project) -> None:
    page = (fresh.path / "docs/examples/advanced.md").read_text()
    section = page.partition("## Records with lines")[2].partition("\n## ")[0]
    models, service, reader = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    parts = {"service": indent(service, "    "), "reader": indent(reader, "    ")}
    code = RECORDS_WITH_LINES.format(models=models, **parts)
    (fresh.path / "tests/test_lines.py").write_text(code)

    assert "1 passed" in fresh.uv_run("pytest", "-q", "--no-cov", "tests/test_lines.py")
