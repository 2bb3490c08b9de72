import asyncio
from collections.abc import AsyncIterator
from unittest.mock import Mock, call

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from websockets.asyncio.client import connect

from app.kit import http_protocol
from app.kit.graceful_shutdown import draining
from app.kit.http_protocol import JoiningTransport, ServerProtocol

HEAD = b"GET / HTTP/1.1\r\nHost: test\r\n"


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    """Run the server of production."""
    app = FastAPI()

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.sleep(60)

        return StreamingResponse(parts(), headers={"content-length": "1000"})

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    config = uvicorn.Config(
        app, http=ServerProtocol, port=0, log_config=None, lifespan="off", timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def send(port: int, *parts: bytes) -> bytes:
    """Send the parts of a request, and return everything that the server sends until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_usual_request(port: int) -> None:
    assert b"HTTP/1.1 404" in await send(port, HEAD + b"Connection: close\r\n", b"\r\n")


async def test_response_without_body(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD.replace(b"GET", b"HEAD") + b"\r\n")
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert b"content-length: " in head


async def test_start_of_a_stream(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD.replace(b"/", b"/stream", 1) + b"\r\n")
    async with asyncio.timeout(5):
        await reader.readuntil(b"\r\n\r\nfirst")
    writer.close()


def test_joined_writes() -> None:
    transport = Mock()
    joining = JoiningTransport(transport)
    head, large = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"x" * 100_000
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    transport.is_closing.return_value = False
    for part in (head, b"{}", head, large, memoryview(b"more"), chunked, head):
        joining.write(part)
    joining.close()

    written = [head + b"{}", head, large, b"more", chunked, head]
    assert transport.write.mock_calls == [*map(call, written)]
    assert transport.close.called


def test_head_after_the_client_has_gone() -> None:
    transport = Mock()
    joining = JoiningTransport(transport)
    joining.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
    transport.is_closing.return_value = True

    joining.close()

    assert not transport.write.called


async def test_large_body(port: int) -> None:
    body = b"x" * 500_000
    head = (
        HEAD.replace(b"GET /", b"POST /upload")
        + b"Connection: close\r\nContent-Length: 500000\r\n\r\n"
    )

    assert (await send(port, head, body)).endswith(b"500000")


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD, b"x-long: " + b"x" * 1_000_000],
        [HEAD, b"x-many: x\r\n" * 50_000],
        [HEAD + b"x-many: x\r\n" * 10_000 + b"\r\n"],
    ],
    ids=["one", "many", "at once"],
)
async def test_large_headers(port: int, parts: list[bytes]) -> None:
    assert await send(port, *parts) == b""


@pytest.mark.parametrize("trailer", [b"x-many: x\r\n" * 50_000, b"x: " + b"x" * 1_000_000])
async def test_large_trailers(port: int, trailer: bytes) -> None:
    head = HEAD.replace(b"GET /", b"POST /upload") + b"Transfer-Encoding: chunked\r\n\r\n"

    assert await send(port, head, b"0\r\n", trailer) == b""


async def test_bytes_between_requests(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(0.3)  # a proxy has opened it ahead
    writer.write(HEAD + b"\r\n")
    assert b"404" in await reader.read(20)
    writer.write(b"\r\n")

    await asyncio.wait_for(reader.read(), 5)  # it is closed
    writer.close()


async def test_request_while_the_server_drains(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "started", True)

    assert b"\r\nconnection: close\r\n" in await send(port, HEAD, b"\r\n")


@pytest.mark.parametrize("start", [b"", b"GET /", HEAD], ids=["nothing", "a line", "a header"])
async def test_slow_headers(port: int, start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.1)

    assert await send(port, start) == b""


async def test_websocket_stays_open(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.1)
    async with connect(f"ws://127.0.0.1:{port}/echo") as websocket:
        await asyncio.sleep(0.3)
        await websocket.send("still here")

        assert await websocket.recv() == "still here"
