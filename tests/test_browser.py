"""The pages of `dev` in a browser without internet access: the API pages, the home page and the emails."""

import os
import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

from tests.project import Project
from tests.readability import problems, violations
from tests.running import Running, dev
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
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
EMAIL = "ada.lovelace@a-rather-long-company-name.example.com"
NEW_EMAIL = f"countess.{'x' * 50}@example.com"
PASSWORD = "correct horse battery"  # noqa: S105


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


def check_readable(page: Page, *widths: int) -> None:
    """Check the current page in each width and color scheme."""
    page.wait_for_load_state()
    for width in widths:
        for scheme in SCHEMES:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            assert problems(page) + violations(page) == [], f"{page.url} {width} {scheme}"


def check_home(page: Page, app: Running, variant: Variant) -> None:
    """Open the home page, and wait until it shows a request without being loaded again."""
    page.goto(app.url)
    page.get_by_text("No requests since").wait_for()
    assert page.get_by_text("Jobs", exact=True).count() == int(variant.database)
    app.client().get("/api/v1/items/<b>bold</b>")
    page.get_by_text("/api/v1/items/<b>bold</b>").wait_for()
    check_readable(page, 390, 1440)


def check_emails(page: Page, app: Running, project: Project) -> None:
    """Send each kind of email, use the links, and check how the emails look."""
    client = app.signed_in(EMAIL, register=True)
    auth = "/api/v1/auth"
    account = {"email": EMAIL, "password": PASSWORD}
    client.post(f"{auth}/register", json=account).raise_for_status()
    client.post(f"{auth}/forgot-password", json={"email": EMAIL}).raise_for_status()
    change = {"email": NEW_EMAIL, "current_password": PASSWORD}
    client.patch(f"{auth}/me", json=change).raise_for_status()

    # The link in the HTML of an email opens a page that uses its token.
    page.goto(f"{app.url}/dev/mails")
    page.get_by_role("link", name="Confirm your new email address").click()
    page.get_by_role("heading", name="Plain text").wait_for()
    check_readable(page, 320, 1440)
    with page.expect_popup() as opened:
        page.frame_locator("iframe").get_by_role("link", name="Confirm new address").click()
    for message in ("Your email address is confirmed.", "The link is used, expired"):
        opened.value.get_by_role("button", name="Confirm email address").click()
        opened.value.get_by_text(message).wait_for()

    # The plain text has the same link.
    page.goto(f"{app.url}/forgot-password")
    page.get_by_label("Email address").fill(NEW_EMAIL)
    page.get_by_role("button", name="Send email").click()
    page.get_by_text("an email is in the list").wait_for()
    page.goto(f"{app.url}/dev/mails")
    sent = page.get_by_role("listitem").filter(has_text=NEW_EMAIL)
    sent.get_by_role("link", name="Reset your password").click()
    link = page.locator("pre a[href*=token]")
    page.goto(str(link.get_attribute("href")))
    check_readable(page, 320, 1440)
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Change password").click()
    page.get_by_text("at least 8").wait_for()
    page.get_by_label("New password").fill("a brand new secret")
    page.get_by_role("button", name="Change password").click()
    page.get_by_text("Your password was changed.").wait_for()

    page.goto(f"{app.url}/dev/mails")
    page.get_by_role("link", name="Your password was changed").wait_for()
    mails = [file.read_text() for file in (project.path / ".dev/mails").glob("*.html")]
    assert len({mail.split("<title>")[1].split("<")[0] for mail in mails}) == 6
    page.goto("about:blank")
    for mail in mails:
        page.set_content(mail)
        check_readable(page, 320, 640)


@pytest.mark.parametrize("variant", [FULL, BARE], ids=str)
def test_pages(fresh: Project, variant: Variant, browser: Browser) -> None:
    with dev(fresh) as app:
        page, errors = offline_page(browser, app.url)

        check_home(page, app, variant)
        page.get_by_role("link", name="API reference").click()
        page.get_by_text("/api/v1/items", exact=True).first.wait_for()
        assert page.get_by_text("Acme Orders & Returns").first.is_visible()
        assert page.get_by_role("button", name="Authorize").count() == int(variant.auth)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.reload()
            page.get_by_text("/api/v1/items", exact=True).first.wait_for()
            assert problems(page) == []

        if variant.auth:
            app.signed_in("ada@example.com", register=True)
            sign_in_and_get_me(page)
            check_emails(page, app, fresh)

        page.goto(f"{app.url}/redoc")
        page.get_by_role("heading", name="Acme Orders & Returns").first.wait_for()
        assert page.get_by_text("delete items.").first.is_visible()
        assert errors == []
