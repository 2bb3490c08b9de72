"""What MkDocs calls when it builds the site: pages that write themselves before, and what is made of the built ones after.

Nothing here depends on MkDocs: `write` and `finish` take folders.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from app.cli.docs_site import finish, pages


def on_pre_build(config: Any) -> None:
    """Write the pages that are made of code and history."""
    _anew("pages", config.docs_dir)


def on_post_build(config: Any) -> None:
    """Add what is made of the built site."""
    docs, site = Path(config.docs_dir), Path(config.site_dir)
    _anew("finish", config.site_dir, str(config.extra.get("api_url") or finish.API_URL))
    finish.add_texts(docs, site, config.site_name, list(pages.navigation(config.nav or [])))
    finish.add_suggestions(site)


def on_serve(server: Any, **_: Any) -> Any:
    """Build again when the code changes, too: pages are written from it."""
    server.watch("src/app")
    return server


def _anew(module: str, *arguments: str) -> None:
    """Run a module in a process of its own: while the site is served, this one has the old code."""
    command = [sys.executable, "-m", f"app.cli.docs_site.{module}", *arguments]
    subprocess.run(command, check=True)
