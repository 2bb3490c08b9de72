"""The documentation site: in a browser without internet access, and as files."""

import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Literal
from zipfile import ZipFile

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Request
from pypdf import PdfReader

from tests.conftest import Render
from tests.project import NODE, Project
from tests.questions import QUESTIONS
from tests.readability import problems, violations
from tests.running import dev, free_port
from tests.test_browser import SCHEMES, browser, offline_page  # noqa: F401  a fixture
from tests.variants import FULL, MIXED, Variant

full = pytest.mark.parametrize("variant", [FULL], ids=str)
documented = pytest.mark.parametrize("variant", [FULL, MIXED], ids=str)
schemes = pytest.mark.parametrize("scheme", SCHEMES)
LEAST_HITS = 36
TOP = "(element) => element.getBoundingClientRect().top"
WIDTHS = (320, 390, 1440)

RUN = {
    "curl": ["sh", "-c"],
    "python": ["uv", "run", "--quiet", "python", "-W", "ignore", "-c"],
    "typescript": [
        *["uv", "run", "--quiet", "--with", NODE],
        *["node", "--input-type=module-typescript", "-e"],
    ],
}
"""Command that runs a sample, by language."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a folder with a static web server."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def commit(project: Project, message: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    project.run("git", *identity, "commit", "-q", "--allow-empty", "-m", message)


BUILT: dict[Variant, Project] = {}


@pytest.fixture
def built(render: Render, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the variant with its site, which is built once per worker."""
    if variant not in BUILT:
        rendered = render(variant)
        folder = tmp_path_factory.mktemp("site") / "acme-orders"
        shutil.copytree(rendered.path, folder, ignore=shutil.ignore_patterns(".git", "*cache*"))
        BUILT[variant] = Project(folder, rendered.environment)
        commit(BUILT[variant], "feat: begin")
        BUILT[variant].uv_run("acme-orders", "docs", "build")
    return BUILT[variant]


def run_samples(project: Project, names: list[str], **known: str) -> None:
    """Run the samples of operations, in order. Values of a response are variables of the next ones."""
    found = project.samples()
    for name in names:
        for language, command in RUN.items():
            done = subprocess.run(
                [*command, found[name][language]], cwd=project.path, env=project.env | known,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (name, language, done.stdout, done.stderr)
            if language == "curl" and done.stdout.startswith("{"):
                answer = json.loads(done.stdout)
                known |= {k.upper(): v for k, v in answer.items() if isinstance(v, str)}
                if "access_token" in answer:
                    known["TOKEN"] = answer["access_token"]
                if name == "items.create":
                    known["ITEM_ID"] = answer["id"]


@documented
def test_samples_work(fresh: Project, variant: Variant) -> None:
    names = ["items.create", "items.list", "items.get", "items.update", "health.ready"]
    if variant.auth:
        names = ["auth.register", "auth.create_token", "auth.get_me", *names]
    with dev(fresh, AUTH_RATE_LIMITS="false") as app:
        known = {"API": app.url, "USERNAME": "ada@example.com", "PASSWORD": "correct horse battery"}
        run_samples(fresh, names, **known)


def ask(page: Page, question: str) -> list[str]:
    """Type a question into the search. Return the links of the suggestions."""
    field = page.get_by_role("combobox")
    if not field.is_visible():
        page.locator(".md-search__button").click()
    field.fill("")
    page.locator("#suggestions").wait_for(state="hidden")
    field.fill(question)
    page.locator("#suggestions a").first.wait_for()
    return [str(link.get_attribute("href")) for link in page.locator("#suggestions a").all()]


@documented
def test_in_a_browser(built: Project, variant: Variant, browser: Browser) -> None:  # noqa: F811
    with served(built.path / "site") as url:
        page, errors = offline_page(browser, url)
        page.goto(url)
        assert page.title() == "Acme Orders & Returns"
        page.get_by_role("link", name="Get started").click()
        page.wait_for_url(f"{url}/getting-started/quickstart/")
        source = page.get_by_role("link", name="Edit this page").get_attribute("href")
        assert str(source).endswith(
            "/acme/acme-orders/edit/main/docs/getting-started/quickstart.md"
        )
        page.goto(f"{url}/404.html")
        page.get_by_role("link", name="Go to the home page").click()
        page.wait_for_url(f"{url}/")

        # Keyword search
        page.locator(".md-search__button").click()
        page.get_by_role("combobox").press_sequentially("rollback")
        hits = page.locator("ol [role=option]")
        hits.first.wait_for()
        assert "Deployment" in " ".join(hits.all_inner_texts())
        if variant.auth:
            found = ask(page, "how do users sign in")
            assert "/api/authentication/" in found[0]

        # Every page has a language and a title of its own, and every image has a text. No file is missing.
        missing: list[str] = []
        page.on("requestfinished", lambda request: note_missing(request, missing))
        titles = []
        for path in sorted((built.path / "site").rglob("index.html")):
            page.goto(f"{url}/{path.parent.relative_to(built.path / 'site').as_posix()}/")
            titles.append(page.title())
            assert page.locator("html").get_attribute("lang") == "en"
            # Swagger UI has its own headings.
            assert page.locator("h1:not(#live h1)").count() == 1, path
            assert page.locator("img:not([alt])").count() == 0, path
        assert all(titles)
        assert len(titles) == len(set(titles))
        assert missing == []
        assert errors == []


def note_missing(request: Request, missing: list[str]) -> None:
    response = request.response()
    if response and response.status == HTTPStatus.NOT_FOUND:
        missing.append(request.url)


@full
@schemes
def test_every_page_is_readable(
    built: Project,
    scheme: Literal["light", "dark"],
    browser: Browser,  # noqa: F811
) -> None:
    site = built.path / "site"
    wrong: dict[str, tuple[str, int]] = {}
    with served(site) as url:
        context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
        page = context.new_page()
        for path in (*sorted(site.rglob("index.html")), site / "404.html"):
            name = path.relative_to(site).as_posix().removesuffix("index.html")
            page.goto(f"{url}/{name}")
            if name == "api/live/":
                page.locator(".opblock").first.wait_for()
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                found = problems(page)
                if width != WIDTHS[1]:
                    found += violations(page)
                wrong |= {f"{name}: {problem}": (scheme, width) for problem in found}

    assert wrong == {}


@full
@schemes
def test_print(
    built: Project,
    scheme: Literal["light", "dark"],
    browser: Browser,  # noqa: F811
) -> None:
    with served(built.path / "site") as url:
        page = browser.new_context(color_scheme=scheme, reduced_motion="reduce").new_page()
        page.emulate_media(media="print")
        for name in ("", "api/endpoints/items/"):
            page.goto(f"{url}/{name}")
            assert violations(page) == []


@full
def test_suggestions_by_keyboard(built: Project, browser: Browser) -> None:  # noqa: F811
    with served(built.path / "site") as url:
        page, errors = offline_page(browser, url)
        page.goto(url)
        page.locator(".md-search__button").click()
        field = page.get_by_role("combobox")
        field.press_sequentially("production")
        hits = page.locator("ol [role=option]")
        hits.first.wait_for()
        suggestions = page.locator("#suggestions a")
        suggestions.first.wait_for()

        # They stand above the hits. The arrow keys reach all of them, then the hits, then them again.
        assert suggestions.last.evaluate(TOP) < hits.first.evaluate(TOP)
        assert not [found for found in violations(page) if "contrast" in found]
        path = []
        for key in ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"]:
            path.append(field.get_attribute("aria-activedescendant"))
            field.press(key)
        first = hits.first.get_attribute("id")
        assert path == ["suggestion-0", "suggestion-1", "suggestion-2", first]
        assert field.get_attribute("aria-activedescendant") == "suggestion-2"
        target = suggestions.last.get_attribute("href")
        field.press("Enter")
        page.wait_for_url(str(target))
        assert errors == []


@full
def test_suggestions(built: Project, browser: Browser) -> None:  # noqa: F811
    with served(built.path / "site") as url:
        page, _ = offline_page(browser, url)
        page.goto(url)
        hits = {
            question: any(re.match(f"{url}/({wanted})", link) for link in ask(page, question))
            for question, wanted in QUESTIONS.items()
        }

    assert sum(hits.values()) >= LEAST_HITS, [q for q, hit in hits.items() if not hit]
    assert (built.path / "site/assets/semantic-search.json").stat().st_size < 450_000


def send(page: Page, operation: str, status: int) -> str:
    """Send the example request of an operation from its form. Return the text of the response."""
    heading = page.get_by_role("heading", name=operation, exact=False)
    form = heading.locator("xpath=following::div[@class='try-it'][1]")
    form.locator("summary").focus()
    page.keyboard.press("Enter")
    form.get_by_role("button", name="Send").focus()
    page.keyboard.press("Enter")
    form.locator("output strong").wait_for()
    answer = form.locator("output").inner_text()
    assert answer.startswith(str(status)), answer
    return answer


@full
def test_try_it_out(fresh: Project, browser: Browser) -> None:  # noqa: F811
    with dev(fresh) as app:
        (fresh.path / "mkdocs.yml").write_text(
            (fresh.path / "mkdocs.yml")
            .read_text()
            .replace("http://127.0.0.1:8000 #", f"{app.url} #")
        )
        fresh.uv_run("acme-orders", "docs", "build")
    port = free_port()
    origins = f"http://127.0.0.1:{port}"
    api = app.url.rpartition(":")[2]
    with (
        served(fresh.path / "site", port) as url,
        dev(fresh, port=int(api), APP_CORS_ORIGINS=origins),
    ):
        page = browser.new_context().new_page()
        page.goto(f"{url}/api/live/")
        operation = page.locator(".opblock", has_text="/health/live").first
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table")
        answer.wait_for()
        assert '"status": "ok"' in answer.inner_text()

        # The forms of the reference, by keyboard
        page.goto(f"{url}/api/endpoints/auth/")
        token = send(page, "Create an account", 202) and send(page, "Sign in", 200)
        assert '"access_token"' in token
        page.goto(f"{url}/api/endpoints/items/")
        assert '"title": "Buy milk"' in send(page, "Create an item", 201)
        assert '"Buy milk"' in send(page, "List items", 200)


@full
def test_serve(built: Project) -> None:
    port = free_port()
    router = built.path / "src/app/items/router.py"
    before = router.read_text()
    serving = subprocess.Popen(
        ["uv", "run", "--quiet", "acme-orders", "docs", "serve", "--port", str(port)],
        cwd=built.path, env=built.env, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    page = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def wait_for(text: str) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                if text in page.get("/api/endpoints/").text:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.5)
        pytest.fail(f"the site does not contain: {text}")

    try:
        wait_for("Get an item")
        router.write_text(before.replace("Get an item", "Get one of the items"))
        wait_for("Get one of the items")
        # Supervisors send the signal to one process. It ends the others.
        serving.terminate()
        serving.wait(timeout=30)
        with pytest.raises(httpx2.ConnectError):
            page.get("/")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(serving.pid, signal.SIGKILL)
        page.close()
        router.write_text(before)
        built.uv_run("acme-orders", "docs", "build")


@full
def test_versions(built: Project, browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    built.run("git", "remote", "add", "origin", str(remote))
    names = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
    who = dict.fromkeys(names, "ada@example.com")

    output = built.uv_run("acme-orders", "docs", "deploy", "1.0", "--dry-run", check=True, **who)
    assert "1.0/index.html" in output
    assert "Dry run: 1.0 was not pushed to origin/gh-pages." in output
    assert built.run("git", "ls-remote", "origin") == ""

    for version in ("1.0", "1.1", "1.0"):
        built.uv_run("acme-orders", "docs", "deploy", version, check=True, **who)
    pages = tmp_path / "pages"
    subprocess.run(["git", "clone", "-q", "-b", "gh-pages", remote, pages], check=True)
    with served(pages) as url:
        page, errors = offline_page(browser, url)
        page.goto(url)
        page.wait_for_url(f"{url}/latest/")
        selector = page.locator(".md-version")
        selector.wait_for()
        assert selector.locator(".md-version__link").all_text_contents() == ["1.1", "1.0"]
        banner = page.get_by_text("This is the documentation of an old version.")
        assert not banner.is_visible()
        page.goto(f"{url}/1.0/development/deployment/")
        banner.wait_for()
        page.get_by_role("link", name="Read the latest version.").click()
        page.wait_for_url(f"{url}/latest/")
        page.goto(f"{url}/1.0/")
        assert ask(page, "put it in production")[0].startswith(f"{url}/1.0/")
        assert errors == []
    assert (pages / "1.1/llms.txt").exists()


@full
def test_export(built: Project) -> None:
    output = built.uv_run("acme-orders", "docs", "export")
    assert "Wrote dist/docs.pdf." in output
    assert "Wrote dist/docs.epub." in output

    pdf = PdfReader(built.path / "dist/docs.pdf")
    text = "\n".join(page.extract_text() for page in pdf.pages)
    headings = [entry.title for entry in pdf.outline if not isinstance(entry, list)]
    assert 30 < len(pdf.pages) < 120
    for wanted in ("Installation", "Authentication", "Deployment", "Changelog"):
        assert wanted in str(headings) + str(pdf.outline)
    assert "Contents" in text
    assert "Try it out" not in text
    assert "deploy --host ssh://root@example.com" in text
    # The contents have the numbers of the pages.
    listed = dict(
        re.findall(r"^(Installation|Quick start|Deployment) *\.+ *(\d+)$", text, re.MULTILINE)
    )
    assert len(listed) == 3
    for entry in pdf.outline:
        if not isinstance(entry, list) and (number := listed.get(str(entry.title))):
            assert pdf.get_destination_page_number(entry) == int(number) - 1
            assert str(entry.title) in pdf.pages[int(number) - 1].extract_text()
    # Links between pages become links inside the document.
    assert sum(len(page.get("/Annots", [])) for page in pdf.pages) > 30

    with ZipFile(built.path / "dist/docs.epub") as book:
        names = book.namelist()
        chapters = "".join(
            book.read(name).decode() for name in names if re.search(r"/ch\d+\.xhtml$", name)
        )
    assert "mimetype" in names
    assert "<h1" in chapters
    assert "deploy --host ssh://root@example.com" in re.sub(r"<[^>]+>", "", chapters)
    assert 'class="sourceCode' in chapters or 'class="highlight' in chapters
    inner = set(re.findall(r'href="(ch\d+\.xhtml)?#([^"]+)"', chapters))
    ids = set(re.findall(r'id="([^"]+)"', chapters))
    assert {anchor for _, anchor in inner} <= ids


@full
def test_llms_txt(built: Project) -> None:
    site = built.path / "site"
    listed = re.findall(r"^- \[.+\]\((.+)\)$", (site / "llms.txt").read_text(), re.MULTILINE)

    assert "api/authentication.md" in listed
    for path in listed:
        assert (site / path).read_text() in (site / "llms-full.txt").read_text()
    assert json.loads((site / "openapi.json").read_text())["servers"]


@full
def test_material(built: Project, tmp_path: Path) -> None:
    """The settings stay valid for Material for MkDocs, as long as that exists (May 2027)."""
    shutil.copytree(built.path, tmp_path / "acme-orders", ignore=shutil.ignore_patterns("site"))
    other = Project(tmp_path / "acme-orders", built.environment)
    material = os.environ.get("MATERIAL", "mkdocs-material>=9.8,<10")
    other.run(
        *["uv", "tool", "run", "--quiet", "--with", "mkdocstrings[python]", "--with", material],
        *["--from", "mkdocs>=1.6.1,<2", "mkdocs", "build", "--strict", "--quiet"],
        *["--config-file", ".zensical.yml"],
        NO_MKDOCS_2_WARNING="1",
    )

    assert "Install" in (other.path / "site/getting-started/installation/index.html").read_text()
