"""How `dev` starts the processes of the application: on Linux, as copies of one that has the libraries."""

import multiprocessing
import sys

# A copy is not safe with the libraries of macOS.
HAS_COPIES = sys.platform == "linux"
processes = multiprocessing.get_context("forkserver" if HAS_COPIES else "spawn")


def preload() -> None:
    """Start to import the libraries."""
    if HAS_COPIES:
        from multiprocessing import forkserver

        forkserver.set_forkserver_preload(["fastship_tooling.dev.libraries"])
        forkserver.ensure_running()
