import json
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from app.config import Settings
from app.kit.routing import body_limit
from tests.conftest import client_of, create_test_app


@pytest.fixture
def new_app(settings: Settings) -> FastAPI:
    """Return an application to which a test can add routes."""
    return create_test_app(settings)


def app_with(settings: Settings, **changes: object) -> FastAPI:
    app = settings.app.model_copy(update=changes)
    return create_test_app(settings.model_copy(update={"app": app}))


class TestSchema:
    def test_operation_ids(self, new_app: FastAPI) -> None:
        operations = [
            operation["operationId"]
            for path in new_app.openapi()["paths"].values()
            for operation in path.values()
        ]

        assert {"health.live", "health.ready"} <= set(operations)
        assert len(operations) == len(set(operations))

    def test_every_route_declares_its_errors(self, new_app: FastAPI) -> None:
        schema = new_app.openapi()

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
                if "requestBody" in operation:
                    assert {"400", "413", "422"} <= set(errors), (path, method)
        assert "HTTPValidationError" not in schema["components"]["schemas"]

    def test_everything_is_described(self, new_app: FastAPI) -> None:
        schema = new_app.openapi()

        assert schema["info"]["summary"]
        tags = {tag["name"] for tag in schema["tags"]}
        for operations in schema["paths"].values():
            for operation in operations.values():
                assert operation["description"]
                assert set(operation["tags"]) <= tags
        for name, model in schema["components"]["schemas"].items():
            for field, description in model.get("properties", {}).items():
                assert description.get("description") or "$ref" in description, (name, field)


class TestApiDocs:
    @pytest.mark.parametrize("page", ["/docs", "/redoc"])
    async def test_no_other_server(self, new_app: FastAPI, page: str) -> None:
        async with client_of(new_app) as client:
            response = await client.get(page)

        assert response.status_code == 200
        assert "//cdn" not in response.text
        assert 'src="http' not in response.text
        assert 'href="http' not in response.text

    async def test_assets(self, new_app: FastAPI) -> None:
        async with client_of(new_app) as client:
            for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"):
                response = await client.get(f"/docs/assets/{asset}")
                assert response.status_code == 200
                assert len(response.content) > 10_000

    async def test_path_prefix(self, new_app: FastAPI) -> None:
        transport = ASGITransport(new_app, root_path="/prefix")
        async with AsyncClient(transport=transport, base_url="http://test/prefix") as client:
            response = await client.get("/docs")

        assert "/prefix/docs/assets/swagger-ui-bundle.js" in response.text
        assert "/prefix/openapi.json" in response.text

    @pytest.mark.parametrize("page", ["/docs", "/redoc", "/openapi.json"])
    @pytest.mark.parametrize(("docs", "status"), [(None, 404), (True, 200)])
    async def test_production(
        self, settings: Settings, page: str, docs: bool | None, status: int
    ) -> None:
        app = app_with(settings, environment="production", docs=docs)
        async with client_of(app) as client:
            response = await client.get(page)

        assert response.status_code == status


class TestErrors:
    async def test_unknown_path(self, new_app: FastAPI) -> None:
        async with client_of(new_app) as client:
            response = await client.get("/nowhere")

        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "request_id": response.headers["x-request-id"],
        }

    async def test_method_not_allowed(self, new_app: FastAPI) -> None:
        @new_app.get("/things/{thing}")
        @new_app.delete("/things/{thing}")
        async def thing(thing: int) -> int:
            return thing

        async with client_of(new_app) as client:
            response = await client.put("/things/1")

        assert response.status_code == 405
        assert response.headers["allow"] == "DELETE, GET"
        assert response.json()["title"] == "Method Not Allowed"

    @pytest.mark.parametrize(
        ("content", "status"), [(b'{"n', 422), (b'"\xff"', 400), (b"", 422), (b"[]", 422)]
    )
    async def test_malformed_body(self, new_app: FastAPI, content: bytes, status: int) -> None:
        @new_app.post("/numbers")
        async def add(body: dict[str, int]) -> int:
            return len(body)

        async with client_of(new_app) as client:
            headers = {"content-type": "application/json"}
            response = await client.post("/numbers", content=content, headers=headers)

        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


def failing_app(settings: Settings, **changes: object) -> FastAPI:
    app = app_with(settings, **changes)

    @app.get("/fail")
    async def fail() -> None:
        raise RuntimeError("internal detail")

    return app


async def test_no_redirects(new_app: FastAPI) -> None:
    async with client_of(new_app) as client:
        response = await client.get("/health/live/", headers={"host": "evil.example.com"})

    assert response.status_code == 404


async def test_nothing_is_stored(new_app: FastAPI) -> None:
    async with client_of(new_app) as client:
        for path in ("/health/live", "/nowhere"):
            assert (await client.get(path)).headers["cache-control"] == "no-store"


class TestUnexpectedError:
    async def test_response(self, settings: Settings) -> None:
        app = failing_app(settings, cors_origins=("https://example.com",))
        async with client_of(app, raise_app_exceptions=False) as client:
            headers = {"x-request-id": "request-4711", "origin": "https://example.com"}
            response = await client.get("/fail", headers=headers)

        assert response.status_code == 500
        assert response.headers["x-request-id"] == "request-4711"
        assert response.headers["access-control-allow-origin"] == "https://example.com"
        assert response.json()["request_id"] == "request-4711"
        assert "internal detail" not in response.text

    async def test_is_raised_again(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # The server logs it, and error trackers see it.
        async with client_of(failing_app(settings)) as client:
            with pytest.raises(RuntimeError, match="internal detail"):
                await client.get("/fail")

        [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (line["event"], line["status"], line["level"]) == ("request", 500, "error")

    async def test_debug(self, settings: Settings) -> None:
        async with client_of(
            failing_app(settings, debug=True), raise_app_exceptions=False
        ) as client:
            response = await client.get("/fail")

        assert response.json()["detail"] == "RuntimeError: internal detail"


class TestBodyLimit:
    @pytest.fixture
    def upload_app(self, new_app: FastAPI) -> FastAPI:
        @new_app.post("/upload")
        async def upload(request: Request) -> int:
            return len(await request.body())

        return new_app

    async def test_announced_length(self, upload_app: FastAPI) -> None:
        async with client_of(upload_app) as client:
            response = await client.post("/upload", content=b" " * 10_000_000)

        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"] == "urn:problem-type:body-too-large"
        assert response.json()["detail"].endswith("than 1048576 bytes (APP_MAX_BODY_BYTES).")
        assert "x-request-id" in response.headers

    async def test_chunked_body(self, upload_app: FastAPI) -> None:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 100_000

        async with client_of(upload_app) as client:
            response = await client.post("/upload", content=body())

        assert response.status_code == 413
        assert response.json()["type"] == "urn:problem-type:body-too-large"

    @pytest.mark.parametrize("size", [10, 2_000_000])
    async def test_limit_of_an_endpoint(self, new_app: FastAPI, size: int) -> None:
        router = APIRouter(prefix="/photos")

        @router.post("")
        @body_limit(size)
        async def upload(request: Request) -> int:
            return len(await request.body())

        @router.post("/names")
        async def name(request: Request) -> int:
            return len(await request.body())

        new_app.include_router(router, prefix="/api")
        async with client_of(new_app) as client:
            allowed = await client.post("/api/photos", content=b" " * size)
            larger = await client.post("/api/photos", content=b" " * (size + 1))
            other = await client.post("/api/photos/names", content=b" " * 2_000_000)

        assert (allowed.status_code, allowed.json()) == (200, size)
        assert larger.status_code == 413
        assert f"than {size} bytes (the limit of this endpoint)" in larger.json()["detail"]
        assert other.status_code == 413


@pytest.mark.parametrize(
    ("sent", "accepted"),
    [
        ("Root-1.67891233_abcdef012345678912345678", True),
        ("short", False),
        ("x" * 129, False),
        ('quote"s and more', False),
        ("ends with space ", False),
    ],
)
async def test_request_id(new_app: FastAPI, sent: str, accepted: bool) -> None:
    async with client_of(new_app) as client:
        response = await client.get("/health/live", headers={"x-request-id": sent})

    received = response.headers["x-request-id"]
    assert (received == sent) if accepted else len(received) == 32
