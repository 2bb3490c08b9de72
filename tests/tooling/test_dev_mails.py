import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.config import Settings
from app.kit.mail import FOLDER, Mail, compose, deliver
from tests.tooling.dev_pages import ESCAPED, HOSTILE, check_page


@pytest.fixture
async def name(settings: Settings) -> str:
    """Store an email with hostile content, and return the name of its file."""
    link = "http://127.0.0.1:8000/reset-password?token=abc"
    mail = Mail(f"Hello {HOSTILE}", (HOSTILE,), link, "Reset")
    await deliver(compose(mail, "ada@example.com", settings, "1"), settings.mail)
    (path,) = FOLDER.glob("*.eml")
    return path.stem


async def test_list(browser: AsyncClient, name: str) -> None:
    for path in ("/", "/dev/mails"):
        page = await browser.get(path)
        check_page(page)
        assert f'<a href="/dev/mails/{name}">Hello {ESCAPED}</a>' in page.text


async def test_preview(browser: AsyncClient, name: str) -> None:
    page = await browser.get(f"/dev/mails/{name}")
    html = await browser.get(f"/dev/mails/{name}/html")

    check_page(page)
    assert 'href="http://127.0.0.1:8000/reset-password?token=abc"' in page.text
    assert re.search(rf'<iframe src="/dev/mails/{name}/html"[^>]* sandbox="allow-pop', page.text)
    policy = html.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "script" not in policy
    assert html.headers["x-frame-options"] == "SAMEORIGIN"
    assert '<head><base target="_blank">' in html.text


async def test_email_that_is_being_written(browser: AsyncClient, name: str) -> None:
    (FOLDER / "20261126-190700-053453.eml").touch()

    page = await browser.get("/dev/mails")

    assert page.status_code == 200
    assert page.text.count('<a href="/dev/mails/') == 1


@pytest.mark.parametrize("name", ["20261126-190700-053453", "..%2f..%2fsecret", "secret"])
async def test_unknown(browser: AsyncClient, folder: Path, name: str) -> None:
    (folder / "secret.eml").write_text("Subject: secret\n\n")

    for path in (f"/dev/mails/{name}", f"/dev/mails/{name}/html"):
        assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/verify-email", "/reset-password", "/forgot-password"])
async def test_links(browser: AsyncClient, pages: FastAPI, path: str) -> None:
    page = await browser.get(path, params={"token": f'"{HOSTILE}'})

    check_page(page)
    (endpoint,) = re.findall(r'data-endpoint="(.*?)"', page.text)
    body = pages.openapi()["paths"][endpoint]["post"]["requestBody"]["content"]
    model = body["application/json"]["schema"]["$ref"].rpartition("/")[2]
    required = pages.openapi()["components"]["schemas"][model]["required"]
    fields = set(re.findall(r' name="(\w+)"', page.text)) - {"viewport"}
    assert set(required) <= fields
