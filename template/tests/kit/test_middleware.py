import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from app.config import AppSettings, Settings
from app.kit.middleware import RequestMiddleware
from tests.test_main import app_with


async def get(app: FastAPI, path: str = "/nowhere", **headers: str) -> Response:
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="https://api.example.com") as client:
        return await client.get(path, headers=headers)


class TestHeaders:
    async def test_on_every_response(self, settings: Settings) -> None:
        app = app_with(settings)

        @app.get("/fail")
        async def fail() -> None:
            raise RuntimeError

        for path in ("/health/live", "/nowhere", "/fail"):
            headers = (await get(app, path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert "strict-transport-security" not in headers

    async def test_hsts_in_production(self, settings: Settings) -> None:
        app = app_with(settings, environment="production")

        assert (await get(app)).headers["strict-transport-security"] == "max-age=31536000"


class TestHosts:
    @pytest.mark.parametrize(
        ("trusted", "host", "status"),
        [
            ((), "anything.example.org", 404),
            (("*",), "anything.example.org", 404),
            (("api.example.com",), "api.example.com", 404),
            (("api.example.com",), "API.example.com:8000", 404),
            (("api.example.com",), "evil.example.org", 400),
            (("api.example.com",), "api.example.com.evil.org", 400),
            (("*.example.com",), "api.example.com", 404),
            (("*.example.com",), "example.com", 400),
            (("*.example.com",), "evilexample.com", 400),
            (("localhost", "[::1]"), "[::1]:8000", 404),
        ],
    )
    async def test_host(
        self, settings: Settings, trusted: tuple[str, ...], host: str, status: int
    ) -> None:
        response = await get(app_with(settings, trusted_hosts=trusted), host=host)

        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"

    async def test_health_checks_are_exempt(self, settings: Settings) -> None:
        app = app_with(settings, trusted_hosts=("api.example.com",))

        assert (await get(app, "/health/live", host="10.0.0.7")).status_code == 200


class TestWebSocket:
    async def test_error_after_the_handshake(self, settings: Settings) -> None:
        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "websocket.accept"})
            raise WebSocketDisconnect

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message["type"])

        sent: list[str] = []
        scope: Scope = {"type": "websocket", "path": "/live", "headers": [], "client": None}
        with pytest.raises(WebSocketDisconnect):
            await RequestMiddleware(app, settings=settings.app)(scope, receive, send)

        assert sent == ["websocket.accept"]


class TestCors:
    ORIGIN = "https://app.example.com"

    async def test_disabled_by_default(self, settings: Settings) -> None:
        response = await get(app_with(settings), origin=self.ORIGIN)

        assert "access-control-allow-origin" not in response.headers

    async def test_allowed_origins(self, settings: Settings) -> None:
        app = app_with(settings, cors_origins=("http://localhost:5173", self.ORIGIN))

        mine = await get(app, origin=self.ORIGIN)
        other = await get(app, origin="https://evil.example.org")

        assert mine.headers["access-control-allow-origin"] == self.ORIGIN
        assert "x-request-id" in mine.headers["access-control-expose-headers"].lower()
        assert "access-control-allow-origin" not in other.headers

    @pytest.mark.parametrize("origins", ["example.com", "https://example.com/path", "null"])
    def test_invalid_origin(self, origins: str) -> None:
        with pytest.raises(ValueError, match="a scheme and a host"):
            AppSettings.model_validate({"cors_origins": origins})
