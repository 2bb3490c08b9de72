import json
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.config import Settings
from app.main import create_app


@pytest.fixture
def fresh(settings: Settings) -> FastAPI:
    """An application that a test may add routes to."""
    return create_app(settings)


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


def with_environment(settings: Settings, **app: object) -> Settings:
    return settings.model_copy(update={"app": settings.app.model_copy(update=app)})


class TestSchema:
    def test_names_read_well(self, fresh: FastAPI) -> None:
        operations = [
            operation["operationId"]
            for path in fresh.openapi()["paths"].values()
            for operation in path.values()
        ]

        assert {"items.create", "items.list", "items.read", "health.live"} <= set(operations)
        assert len(operations) == len(set(operations))

    def test_every_route_declares_its_errors_as_problems(self, fresh: FastAPI) -> None:
        schema = fresh.openapi()

        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                errors = {
                    status: response["content"]
                    for status, response in operation["responses"].items()
                    if status >= "400" and not (path == "/health/ready" and status == "503")
                }
                assert "500" in errors, (path, method)
                for status, content in errors.items():
                    assert list(content) == ["application/problem+json"], (path, method, status)
        item = schema["paths"]["/api/v1/items/{item_id}"]
        assert {"404", "422"} <= set(item["get"]["responses"])
        assert {"400", "404", "413", "422"} <= set(item["patch"]["responses"])
        assert "HTTPValidationError" not in schema["components"]["schemas"]

    def test_everything_is_described(self, fresh: FastAPI) -> None:
        schema = fresh.openapi()

        assert schema["info"]["summary"]
        tagged = {tag["name"] for tag in schema["tags"]}
        for operations in schema["paths"].values():
            for operation in operations.values():
                assert operation["description"]
                assert set(operation["tags"]) <= tagged


class TestApiDocs:
    @pytest.mark.parametrize("page", ["/docs", "/redoc"])
    async def test_page_needs_no_other_server(self, fresh: FastAPI, page: str) -> None:
        async with client_of(fresh) as client:
            response = await client.get(page)

        assert response.status_code == 200
        assert "//cdn" not in response.text
        assert 'src="http' not in response.text
        assert 'href="http' not in response.text

    async def test_assets_are_served(self, fresh: FastAPI) -> None:
        async with client_of(fresh) as client:
            for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"):
                response = await client.get(f"/docs/assets/{asset}")
                assert response.status_code == 200
                assert len(response.content) > 10_000

    async def test_behind_a_prefix(self, fresh: FastAPI) -> None:
        transport = ASGITransport(fresh, root_path="/prefix")
        async with AsyncClient(transport=transport, base_url="http://test/prefix") as client:
            response = await client.get("/docs")

        assert "/prefix/docs/assets/swagger-ui-bundle.js" in response.text
        assert "/prefix/openapi.json" in response.text

    @pytest.mark.parametrize("page", ["/docs", "/redoc", "/openapi.json"])
    @pytest.mark.parametrize(("docs", "status"), [(None, 404), (True, 200)])
    async def test_off_in_production_unless_switched_on(
        self, settings: Settings, page: str, docs: bool | None, status: int
    ) -> None:
        app = create_app(with_environment(settings, environment="production", docs=docs))
        async with client_of(app) as client:
            response = await client.get(page)

        assert response.status_code == status


class TestErrors:
    async def test_no_such_path(self, fresh: FastAPI) -> None:
        async with client_of(fresh) as client:
            response = await client.get("/nowhere")

        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "request_id": response.headers["x-request-id"],
        }

    @pytest.mark.parametrize(
        ("path", "allow"),
        [
            ("/health/live", "GET"),
            ("/api/v1/items", "GET, POST"),
            ("/api/v1/items/370f3d98-7397-4ddb-8f31-0102f2a9a3dc", "DELETE, GET, PATCH"),
        ],
    )
    async def test_wrong_method(self, fresh: FastAPI, path: str, allow: str) -> None:
        async with client_of(fresh) as client:
            response = await client.put(path)

        assert response.status_code == 405
        assert response.headers["allow"] == allow
        assert response.json()["title"] == "Method Not Allowed"

    async def test_unexpected_error(
        self, capsys: pytest.CaptureFixture[str], fresh: FastAPI
    ) -> None:
        password = "hunter2 is a local variable"

        @fresh.get("/boom")
        async def boom() -> None:
            secret = password
            raise RuntimeError("something inner" + secret[:0])

        async with client_of(fresh) as client:
            response = await client.get("/boom", headers={"x-request-id": "request-4711"})

        assert response.status_code == 500
        assert response.headers["x-request-id"] == "request-4711"
        assert "something inner" not in response.text
        assert response.json()["request_id"] == "request-4711"
        printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        lines = [line for line in printed if line["logger"] == "app.requests"]
        assert [line["event"] for line in lines] == ["unexpected error", "request"]
        assert {line["request_id"] for line in lines} == {"request-4711"}
        assert lines[1]["status"] == 500
        assert "something inner" in str(lines[0]["exception"])
        assert password not in str(lines)

    async def test_debug_shows_the_error(self, settings: Settings) -> None:
        app = create_app(with_environment(settings, debug=True))

        @app.get("/boom")
        async def boom() -> None:
            raise RuntimeError("something inner")

        async with client_of(app) as client:
            response = await client.get("/boom")

        assert response.json()["detail"] == "RuntimeError: something inner"


class TestBodyLimit:
    async def test_announced_length(self, client: AsyncClient) -> None:
        response = await client.post("/api/v1/items", content=b" " * 10_000_000)

        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert "x-request-id" in response.headers

    async def test_length_that_is_not_announced(self, client: AsyncClient) -> None:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 100_000

        response = await client.post(
            "/api/v1/items", content=body(), headers={"content-type": "application/json"}
        )

        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"


class TestRequestId:
    @pytest.mark.parametrize(
        "sane", ["0123456789abcdef", "Root-1.67891233_abcdef012345678912345678"]
    )
    async def test_sane_one_is_taken_over(self, fresh: FastAPI, sane: str) -> None:
        async with client_of(fresh) as client:
            response = await client.get("/health/live", headers={"x-request-id": sane})

        assert response.headers["x-request-id"] == sane

    @pytest.mark.parametrize(
        "odd", ["", "short", "x" * 129, 'quote"s and more', "ends with space "]
    )
    async def test_other_one_is_replaced(self, fresh: FastAPI, odd: str) -> None:
        async with client_of(fresh) as client:
            response = await client.get("/health/live", headers={"x-request-id": odd})

        assert len(response.headers["x-request-id"]) == 32
