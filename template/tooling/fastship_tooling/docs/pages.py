"""Pages that are generated from the code, the OpenAPI schema and the git history."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from fastship_tooling import changelog, openapi
from fastship_tooling.docs.samples import LANGUAGES, Operation, Schema, operations, variables

# The theme links other pages to their source, to edit it.
FRONT_MATTER = "---\ngenerated: true\n---\n\n"
ENDPOINTS_HEAD = """\
# Endpoints

Find every endpoint here, with samples in curl, Python and TypeScript. The samples read the URL of the API from the
environment variable `API`.{token}

```sh
export API=http://127.0.0.1:8000{export}
```
"""
SETTINGS_HEAD = """\
# Configuration

Look up every setting here. A setting is an environment variable, or a line in `.env`. It can also be a file: the one
named by `NAME_FILE`, or `/run/secrets/NAME`. Settings marked with * are required in production.
"""


def write(docs: Path) -> list[Path]:
    """Write the generated pages that are missing or outdated.

    Args:
        docs: Folder of the pages.

    Returns:
        The pages that have changed.
    """
    changed = []
    for name, render in PAGES.items():
        path = docs / name
        text = render()
        if not text:  # there is no git history, as in an image: keep an existing page
            if path.exists():
                continue
            text = "# Changelog\n\nThere are no commits yet.\n"
        text = FRONT_MATTER + text
        # `docs serve` rebuilds the site on each write.
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
            changed.append(path)
    return changed


def endpoints() -> str:
    """Return the page of all endpoints, with samples."""
    schema = openapi.schema()
    texts = {tag["name"]: tag.get("description", "") for tag in schema.get("tags", ())}
    found = list(operations(schema))
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
        lines += [
            f"The samples read {', '.join(f'`{name}`' for name in needed)} from the environment.",
            "",
        ]
    if parameters := details.get("parameters"):
        lines += ["| Parameter | In | Description |", "| --- | --- | --- |"]
        for parameter in parameters:
            what = parameter.get("description") or parameter["schema"].get("description", "")
            lines.append(f"| `{parameter['name']}` | {parameter['in']} | {what} |")
        lines.append("")
    for name, (mark, sample) in LANGUAGES.items():
        lines += [f'=== "{name}"', "", f"    ```{mark}"]
        lines += [f"    {line}".rstrip() for line in sample(operation).splitlines()]
        lines += ["    ```", ""]
    lines += ["| Status | Response |", "| --- | --- |"]
    for code, response in sorted(details["responses"].items()):
        lines.append(f"| {code} | {_response(response)} |")
    return "\n".join([*lines, ""])


def _response(response: Schema) -> str:
    """Return the description of a response, for a table cell."""
    text = response.get("description", "").replace("|", "\\|").replace("\n", " ")
    for content in response.get("content", {}).values():
        name = content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
        if name and name != "Problem":
            return f"`{name}`: {text}"
    return str(text)


def configuration() -> str:
    """Return the page of all settings."""
    from app.config import Settings
    from fastship_tooling.settings import secret_variables

    required = _required_in_production()
    parts = [SETTINGS_HEAD]
    for group in Settings.groups().values():
        names = group.variables()
        parts.append(f"## {(group.__doc__ or group.__name__).strip().rstrip('.')}\n")
        parts.append("| Variable | Default | Description |\n| --- | --- | --- |")
        for name, field in group.model_fields.items():
            default = field.default
            secret = names[name] in secret_variables()
            empty = secret or default is None or default == () or str(default) == ""
            shown = "" if empty else f"`{_format(default)}`"
            mark = "*" if names[name] in required else ""
            text = (field.description or "").replace("|", "\\|")
            parts.append(f"| `{names[name]}`{mark} | {shown} | {text} |")
        parts.append("")
    return "\n".join(parts)


def _format(value: object) -> str:
    """Return a default as it is written in an environment variable."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _required_in_production() -> set[str]:
    from app.config import Settings
    from app.kit.settings import SettingsError

    try:
        Settings.load({"APP_ENVIRONMENT": "production"}, env_file=None, secrets_dir=None)
    except SettingsError as error:
        return {issue.variable for issue in error.issues}
    return set()


PAGES: dict[str, Callable[[], str]] = {
    "api/endpoints.md": endpoints,
    "changelog.md": changelog.render,
    "development/configuration.md": configuration,
}
"""The generated pages, and the functions that render them."""
