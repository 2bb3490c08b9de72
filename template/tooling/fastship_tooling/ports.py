"""Ports of this machine."""

import errno
import socket
import sys

from app.cli.console import fail

ADVICE = {
    errno.EADDRINUSE: "Stop the other process, or use another port: --port {}",
    errno.EACCES: "Use a port above 1023: --port 8000",
}


def check_port_is_free(host: str, port: int) -> None:
    """Bind a port and release it.

    Raises:
        OSError: The port is in use, or the address does not belong to this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Accept a port with connections in TIME_WAIT. The option has another meaning on Windows.
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def require_free_port(host: str, port: int) -> None:
    """Exit with an error if the port is in use.

    Args:
        host: Address to listen on.
        port: Port to listen on.
    """
    try:
        check_port_is_free(host, port)
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "Use an address of this machine: --host 127.0.0.1")
        fail(f"Cannot listen on {host}:{port}: {error.strerror}. {advice.format(port + 1)}")
