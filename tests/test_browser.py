"""What a person sees of the API pages, in a browser that reaches this machine alone."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

from tests.project import Project
from tests.running import dev
from tests.variants import BARE, FULL, Variant

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        message = "neither chromium nor google-chrome is installed"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


def offline_page(browser: Browser, url: str) -> tuple[Page, list[str]]:
    """Open a page that reaches `url` alone; give it and a list that takes what goes wrong."""
    page = browser.new_context().new_page()
    trouble: list[str] = []

    def refuse(route: Route) -> None:
        trouble.append(f"asked for {route.request.url}")
        route.abort()

    def note_failure(request: Request) -> None:
        # What was under way when the page was left is no trouble.
        if request.url.startswith(url) and request.failure != "net::ERR_ABORTED":
            trouble.append(f"failed: {request.url}")

    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", note_failure)
    page.route(lambda address: not address.startswith((url, "data:", "blob:")), refuse)
    return page, trouble


def sign_in_and_read_me(page: Page) -> None:
    """Press Authorize, then try an operation that needs it."""
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("username:").fill("ada@example.com")
    page.get_by_label("password:").fill("correct horse battery")
    page.get_by_label("Apply given OAuth2 credentials").click()
    page.get_by_role("heading", name="Authorized").wait_for()
    page.get_by_role("button", name="Close").last.click()
    operation = page.locator(".opblock", has_text="/api/v1/auth/me").first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    answer.wait_for()
    assert "ada@example.com" in answer.inner_text()


@pytest.mark.parametrize("variant", [FULL, BARE], ids=str)
def test_api_pages(fresh: Project, variant: Variant, browser: Browser) -> None:
    with dev(fresh) as app:
        page, trouble = offline_page(browser, app.url)

        page.goto(f"{app.url}/docs")
        page.get_by_text("/api/v1/items", exact=True).first.wait_for()
        assert page.get_by_text("Acme Orders & Returns").first.is_visible()
        assert page.get_by_role("button", name="Authorize").count() == int(variant.auth)

        if variant.auth:
            app.signed_in("ada@example.com", register=True)
            sign_in_and_read_me(page)

        page.goto(f"{app.url}/redoc")
        page.get_by_role("heading", name="Acme Orders & Returns").first.wait_for()
        assert page.get_by_text("All about items.").first.is_visible()
        assert trouble == []
