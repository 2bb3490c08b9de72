"""The API pages in a browser without internet access."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

from tests.project import Project
from tests.readability import problems
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
    """Open a page that can only load `url`. Return it, and a list that collects its errors."""
    page = browser.new_context().new_page()
    errors: list[str] = []

    def refuse(route: Route) -> None:
        errors.append(f"requested {route.request.url}")
        route.abort()

    def record_failure(request: Request) -> None:
        # Leaving a page aborts its requests.
        if request.url.startswith(url) and request.failure != "net::ERR_ABORTED":
            errors.append(f"failed: {request.url}")

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", record_failure)
    page.route(lambda address: not address.startswith((url, "data:", "blob:")), refuse)
    return page, errors


def sign_in_and_get_me(page: Page) -> None:
    """Sign in with the button Authorize, and try an operation that requires it."""
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("username:").fill("ada@example.com")
    page.get_by_label("password:").fill("correct horse battery")
    page.get_by_label("Apply given OAuth2 credentials").click()
    page.get_by_role("heading", name="Authorized").wait_for()
    page.get_by_role("button", name="Close").last.click()
    operation = page.locator(".opblock", has_text="/api/v1/auth/me").first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    response = operation.locator(".live-responses-table")
    response.wait_for()
    assert "ada@example.com" in response.inner_text()


@pytest.mark.parametrize("variant", [FULL, BARE], ids=str)
def test_api_pages(fresh: Project, variant: Variant, browser: Browser) -> None:
    with dev(fresh) as app:
        page, errors = offline_page(browser, app.url)

        page.goto(f"{app.url}/docs")
        page.get_by_text("/api/v1/items", exact=True).first.wait_for()
        assert page.get_by_text("Acme Orders & Returns").first.is_visible()
        assert page.get_by_role("button", name="Authorize").count() == int(variant.auth)
        assert problems(page) == []

        if variant.auth:
            app.signed_in("ada@example.com", register=True)
            sign_in_and_get_me(page)

        page.goto(f"{app.url}/redoc")
        page.get_by_role("heading", name="Acme Orders & Returns").first.wait_for()
        assert page.get_by_text("Items.").first.is_visible()
        assert errors == []
