"""What is added to a built site: the description of the API, its pages as text for assistants, the suggestions."""

import json
import shutil
import sys
from pathlib import Path

from app.cli import openapi

LIVE = ("swagger-ui-bundle.js", "swagger-ui.css")
API_URL = "http://127.0.0.1:8000"


def add_description(site: Path, api_url: str = API_URL) -> None:
    """Add what the page for trying out is made of: the description, and Swagger UI itself.

    Args:
        site: Folder of the site.
        api_url: Where the API runs.
    """
    import fastapi_offline  # noqa: PLC0415

    described = openapi.schema() | {"servers": [{"url": api_url}]}
    (site / "openapi.json").write_text(json.dumps(described), "utf-8")
    assets = Path(str(fastapi_offline.__file__)).parent / "static"
    for file in LIVE:
        shutil.copy(assets / file, site / "assets" / file)


def add_texts(docs: Path, site: Path, name: str, navigation: list[tuple[str, str]]) -> None:
    """Add each page as Markdown, and what lists them for assistants (https://llmstxt.org)."""
    listed, whole = [f"# {name}", ""], []
    for title, path in navigation:
        text = (docs / path).read_text("utf-8")
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        listed.append(f"- [{title or path}]({path})")
        whole.append(text)
    (site / "llms.txt").write_text("\n".join([*listed, ""]), "utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(whole), "utf-8")


def add_suggestions(site: Path) -> None:
    """Add the index of the suggestions by meaning."""
    from app.cli.docs_site import meaning  # noqa: PLC0415  slow, and only for this

    meaning.write(site)


if __name__ == "__main__":
    add_description(Path(sys.argv[1]), *sys.argv[2:])
