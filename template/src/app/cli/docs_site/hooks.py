"""What MkDocs calls when it builds the site: pages that write themselves before, and what is made of the built ones after.

Nothing here depends on MkDocs: `write` and `finish` take folders.
"""

from pathlib import Path
from typing import Any

from app.cli.docs_site import finish, pages


def on_pre_build(config: Any) -> None:
    """Write the pages that are made of code and history."""
    pages.write(Path(config.docs_dir))


def on_post_build(config: Any) -> None:
    """Add what is made of the built site."""
    navigation = list(pages.navigation(config.nav or []))
    finish.finish(
        Path(config.docs_dir), Path(config.site_dir), config.site_name, config.extra, navigation
    )


def on_serve(server: Any, **_: Any) -> Any:
    """Build again when the code changes, too: pages are written from it."""
    server.watch("src/app")
    return server
