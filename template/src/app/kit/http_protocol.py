"""Limits of the HTTP server that uvicorn does not have: size and duration of the headers."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 10.0


class LimitedProtocol(HttpToolsProtocol):
    """An HTTP protocol that closes connections with large or slow request headers."""

    header_bytes = 0
    message_bytes = 0
    in_headers = False
    header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit of the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Parse a part of a request."""
        super().data_received(data)
        if self not in self.connections:  # closed, or a WebSocket now
            self._stop_waiting()
            return
        # The rest of the headers is missing, or something has arrived after a response, which has
        # ended the time limit of uvicorn.
        between = self.cycle is None or self.cycle.response_complete
        if self.header_timer is None and (self.in_headers or between):
            self._wait_for_headers()
        if self.header_timer is not None:
            self.header_bytes += len(data)
            if self.header_bytes > MAX_HEADER_BYTES:
                self._give_up()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, or a trailer after the body."""
        super().on_header(name, value)
        self.message_bytes += len(name) + len(value)
        if self.message_bytes > MAX_HEADER_BYTES:
            self._give_up()

    def on_message_begin(self) -> None:
        """Remember that headers follow. They have a time limit if they do not arrive at once."""
        super().on_message_begin()
        self.message_bytes = 0
        self.in_headers = True

    def on_headers_complete(self) -> None:
        """End the time limit."""
        self.in_headers = False
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time limit."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self.header_bytes = 0
        self.header_timer = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self.header_timer is not None:
            self.header_timer.cancel()
            self.header_timer = None

    def _give_up(self) -> None:
        self._stop_waiting()
        self.transport.close()
