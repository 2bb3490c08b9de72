import re
import socket

import pytest
from fastapi import FastAPI
from fastship_tooling.dev.pages.middleware import ASSETS
from fastship_tooling.project import DOCS_URL, HAS_AUTH, HAS_DATABASE, HAS_DOCS, STATE
from httpx2 import AsyncClient

from app.config import Settings
from tests.conftest import client_of, create_test_app
from tests.tooling.dev_pages import ESCAPED, HOSTILE, check_page


class TestHome:
    async def test_browser(self, browser: AsyncClient, pages: FastAPI) -> None:
        response = await browser.get("/")

        assert response.status_code == 200
        check_page(response)
        assert 'href="/docs"' in response.text
        assert ("Jobs" in response.text) is HAS_DATABASE
        assert ("/dev/mails" in response.text) is HAS_AUTH
        assert ("docs serve" in response.text) is HAS_DOCS
        assert not {"/", "/dev/mails"} & set(pages.openapi()["paths"])

    @pytest.mark.parametrize(
        ("method", "path", "headers"),
        [
            ("GET", "/", {"accept": "*/*"}),
            ("GET", "/", {"accept": "application/json"}),
            ("POST", "/", {}),
            ("GET", "/dev", {}),
            ("GET", "/", {"host": "evil.example.com"}),
            ("GET", "/dev/mails", {"host": "evil.example.com:8000"}),
        ],
    )
    async def test_other_requests(
        self, browser: AsyncClient, method: str, path: str, headers: dict[str, str]
    ) -> None:
        response = await browser.request(method, path, headers=headers)

        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"

    async def test_without_dev(self, settings: Settings) -> None:
        async with client_of(create_test_app(settings), accept="text/html") as browser:
            assert (await browser.get("/")).status_code == 404

    @pytest.mark.parametrize("host", ["localhost:8000", "[::1]:8000", "192.168.0.7", "api.test"])
    async def test_known_hosts(self, browser: AsyncClient, pages: FastAPI, host: str) -> None:
        settings = pages.state.settings.app.model_copy(update={"trusted_hosts": ("api.test",)})
        pages.state.settings = pages.state.settings.model_copy(update={"app": settings})

        assert (await browser.get("/", headers={"host": host})).status_code == 200

    async def test_route_of_the_application(self, browser: AsyncClient, pages: FastAPI) -> None:
        @pages.get("/")
        async def own() -> str:
            return "mine"

        assert (await browser.get("/")).json() == "mine"

    @pytest.mark.parametrize("path", ASSETS)
    async def test_assets(self, browser: AsyncClient, path: str) -> None:
        response = await browser.get(path, headers={"accept": "image/*"})

        assert response.status_code == 200
        assert response.headers["content-type"].startswith(("image/svg+xml", "text/"))

    async def test_failed_check(self, browser: AsyncClient, pages: FastAPI) -> None:
        async def check() -> None:
            raise ConnectionError

        pages.state.readiness_checks["queue"] = check

        assert re.search(r"queue <[^>]*>down<", (await browser.get("/")).text)

    @pytest.mark.skipif(not HAS_DOCS, reason="the project has no documentation")
    async def test_documentation(self, browser: AsyncClient) -> None:
        with socket.socket() as site:
            site.bind(("127.0.0.1", 0))
            site.listen()
            url = f"http://127.0.0.1:{site.getsockname()[1]}"
            STATE.mkdir()
            DOCS_URL.write_text(url)
            running = await browser.get("/")
        stopped = await browser.get("/")

        assert f'href="{url}"' in running.text
        assert f'href="{url}"' not in stopped.text


class TestRequests:
    async def test_list(self, browser: AsyncClient) -> None:
        sent = await browser.get(f"/nothing/{HOSTILE}?token=secret")
        await browser.get("/health/live")

        page = await browser.get("/")

        check_page(page)
        assert f"<b>GET</b> /nothing/{ESCAPED}" in page.text
        assert '<span class="status s4">404</span>' in page.text
        assert sent.headers["x-request-id"] in page.text
        assert "secret" not in page.text
        assert "/health/live" not in page.text

    async def test_failure(self, browser: AsyncClient, pages: FastAPI) -> None:
        @pages.get("/fails")
        async def fail() -> None:
            raise ZeroDivisionError

        await browser.get("/fails")

        assert '<span class="status s5">500</span>' in (await browser.get("/")).text

    async def test_number(self, browser: AsyncClient) -> None:
        for number in range(25):
            await browser.get(f"/nothing/{number}")

        page = (await browser.get("/")).text

        assert re.findall(r"/nothing/(\d+)</td>", page) == [str(n) for n in range(24, 4, -1)]
