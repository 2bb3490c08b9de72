"""Pages that are written from code, description and history, and so are never behind them."""

import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from app.cli import changelog, openapi
from app.cli.docs_site.samples import LANGUAGES, Operation, Schema, operations, variables

ENDPOINTS_HEAD = """\
# Endpoints

Written from the OpenAPI description. The samples take what only you know from the environment: `API` is the address,
`http://127.0.0.1:8000` in development.{token}

```sh
export API=http://127.0.0.1:8000{export}
```
"""
SETTINGS_HEAD = """\
# Configuration

A setting is a variable of the environment. Where there is none, a line in `.env` counts, or a file: the one that
`NAME_FILE` names, or `/run/secrets/NAME`. Marked with *, a setting has to be set in production.
"""


def write(docs: Path) -> list[Path]:
    """Write the pages that are not there, or not current.

    Args:
        docs: Folder of the pages.

    Returns:
        Those that have changed.
    """
    changed = []
    for name, make in PAGES.items():
        path = docs / name
        text = make()
        if not text:  # no history at hand: what was written elsewhere is better than nothing
            if path.exists():
                continue
            text = "# Changelog\n\nThere is no history here.\n"
        # Written only when needed: whoever watches the folder builds the site again.
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
            changed.append(path)
    return changed


def endpoints() -> str:
    """Write the page of all operations, each with samples."""
    description = openapi.schema()
    texts = {tag["name"]: tag.get("description", "") for tag in description.get("tags", ())}
    found = list(operations(description))
    secured = any(operation.needs_token for operation in found)
    parts = [
        ENDPOINTS_HEAD.format(
            token=" `TOKEN` is an access token." if secured else "",
            export="\nexport TOKEN=..." if secured else "",
        )
    ]
    for tag, group in groupby(found, key=lambda operation: operation.details["tags"][0]):
        parts.append(f"## {tag.capitalize()}\n\n{texts.get(tag, '')}\n")
        parts += [_operation(operation) for operation in group]
    return "\n".join(parts)


def _operation(operation: Operation) -> str:
    details = operation.details
    method = operation.method.upper()
    lines = [f"### `{method} {operation.path}`", "", details.get("description", "").strip(), ""]
    if needed := variables(operation):
        lines += [f"The samples need {', '.join(f'`{name}`' for name in needed)}.", ""]
    if parameters := details.get("parameters"):
        lines += ["| parameter | in | what |", "| --- | --- | --- |"]
        for parameter in parameters:
            what = parameter.get("description") or parameter["schema"].get("description", "")
            lines.append(f"| `{parameter['name']}` | {parameter['in']} | {what} |")
        lines.append("")
    for name, (mark, sample) in LANGUAGES.items():
        lines += [f'=== "{name}"', "", f"    ```{mark}"]
        lines += [f"    {line}".rstrip() for line in sample(operation).splitlines()]
        lines += ["    ```", ""]
    lines += ["| answer | what |", "| --- | --- |"]
    for code, response in sorted(details["responses"].items()):
        lines.append(f"| {code} | {_answer(response)} |")
    return "\n".join([*lines, ""])


def _answer(response: Schema) -> str:
    """Say what a response holds, in a cell of a table."""
    text = response.get("description", "").replace("|", "\\|").replace("\n", " ")
    for content in response.get("content", {}).values():
        name = content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
        if name and name != "Problem":
            return f"`{name}`: {text}"
    return str(text)


def configuration() -> str:
    """Write the page of all settings, from their classes."""
    from app.config import Settings  # noqa: PLC0415

    needed = _needed_in_production()
    parts = [SETTINGS_HEAD]
    for group in Settings.groups().values():
        names = group.variables()
        parts.append(f"## {(group.__doc__ or group.__name__).strip().rstrip('.')}\n")
        parts.append("| variable | default | what |\n| --- | --- | --- |")
        for name, field in group.model_fields.items():
            given = field.default
            secret = names[name] in Settings.secret_variables()
            empty = secret or given is None or given == () or str(given) == ""
            shown = "" if empty else f"`{_written(given)}`"
            mark = "*" if names[name] in needed else ""
            text = (field.description or "").replace("|", "\\|")
            parts.append(f"| `{names[name]}`{mark} | {shown} | {text} |")
        parts.append("")
    return "\n".join(parts)


def _written(value: object) -> str:
    """Write a default as one would write it into the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _needed_in_production() -> set[str]:
    from app.cli.console import settings_of  # noqa: PLC0415
    from app.kit.settings import SettingsError  # noqa: PLC0415

    try:
        settings_of({"APP_ENVIRONMENT": "production"})
    except SettingsError as error:
        return {fault.variable for fault in error.faults}
    return set()


PAGES: dict[str, Callable[[], str]] = {
    "api/endpoints.md": endpoints,
    "changelog.md": changelog.render,
    "development/configuration.md": configuration,
}
"""What writes which page."""


def navigation(nav: list[object]) -> Iterator[tuple[str, str]]:
    """Yield the pages of a site in the order of its navigation: title and path.

    Args:
        nav: As in mkdocs.yml.
    """
    for entry in nav:
        if isinstance(entry, str):
            yield "", entry
        elif isinstance(entry, dict):
            for title, value in entry.items():
                if isinstance(value, list):
                    yield from navigation(value)
                else:
                    yield str(title), str(value)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
