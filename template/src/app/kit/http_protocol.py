"""What the HTTP server of uvicorn does not have: limits of the headers, and one write for a response."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.kit.graceful_shutdown import draining

MAX_HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 10.0
MAX_JOINED_BYTES = 64 * 1024


class JoiningTransport:
    """A transport that writes the head of a response together with the start of its body.

    uvicorn writes them one after the other, which takes an additional system call and packet.
    A stream without Content-Length does not wait for its first part.

    Args:
        transport: The transport of the connection.
    """

    __slots__ = ("_write", "head", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._write = transport.write
        self.head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes | memoryview) -> None:
        """Write the head that waits, and this. Let a head wait."""
        if self.head and len(data) <= MAX_JOINED_BYTES:
            self._write(self.head + data)
            self.head = b""
        elif self.head:  # a copy of a large part would take longer
            self.flush()
            self._write(data)
        elif bytes(data[:9]) == b"HTTP/1.1 " and b"\r\ncontent-length: " in bytes(data):
            self.head = bytes(data)
        else:
            self._write(data)

    def flush(self) -> None:
        """Write the head that waits."""
        if self.head:
            self._write(self.head)
            self.head = b""

    def close(self) -> None:
        """Write the head that waits, unless the client has gone, and close the connection."""
        if not self.transport.is_closing():
            self.flush()
        self.transport.close()


class ServerProtocol(HttpToolsProtocol):
    """An HTTP protocol that closes connections with large or slow request headers, and joins writes.

    A proxy may open connections ahead. They stay open as long as those between two requests.
    """

    # Bytes since the last part of a body. They belong to headers, or to trailers after the body.
    header_bytes = 0
    in_headers = False
    header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit of a connection without a request."""
        super().connection_made(transport)
        self.joining = JoiningTransport(transport)
        self.transport = self.joining  # type: ignore[assignment]
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Parse a part of a request."""
        self.header_bytes += len(data)
        super().data_received(data)
        if self not in self.connections:  # closed, or a WebSocket now
            self._stop_waiting()
            return
        # The rest of the headers is missing, or something has arrived after a response, which has
        # ended the time limit of uvicorn.
        between = self.cycle is None or self.cycle.response_complete
        if self.header_timer is None and (self.in_headers or between):
            self._wait_for_headers()
        if self.header_bytes > MAX_HEADER_BYTES:
            self._give_up()

    def on_message_begin(self) -> None:
        """Remember that headers follow. They have a time limit if they do not arrive at once."""
        self._stop_waiting()
        super().on_message_begin()
        self.in_headers = True

    def on_headers_complete(self) -> None:
        """End the time limit."""
        # What has arrived may contain a part of the body.
        if self.header_bytes > MAX_HEADER_BYTES:
            size = sum(len(name) + len(value) for name, value in self.headers)
            if len(self.url) + size > MAX_HEADER_BYTES:
                self._give_up()
        self.in_headers = False
        self.header_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self.header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Receive the end of a request. If the server stops soon, the response ends the connection."""
        super().on_message_complete()
        # Not earlier: to close a connection with an unread body would lose the response.
        if draining.started and self.cycle and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Write a head without a body."""
        self.joining.flush()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time limit."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        seconds = HEADER_SECONDS if self.in_headers else self.timeout_keep_alive
        self.header_timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self.header_timer is not None:
            self.header_timer.cancel()
            self.header_timer = None

    def _give_up(self) -> None:
        self._stop_waiting()
        self.transport.close()
