"""Pages that are generated from the code, the OpenAPI schema and the git history."""

from collections.abc import Callable
from pathlib import Path

from fastship_tooling import changelog
from fastship_tooling.docs import reference
from fastship_tooling.docs.settings import API_URL

# The theme links other pages to their source, to edit it.
FRONT_MATTER = "---\ngenerated: true\n---\n\n"
CHANGELOG_HEAD = """
Look up what changed in each version. The entries are commit messages such as `feat: add invoices`.
"""
SETTINGS_HEAD = """\
# Configuration

Look up every setting here. A setting is an environment variable, or a line in `.env`. It can also be a file: the one
named by `NAME_FILE`, or `/run/secrets/NAME`. Settings marked with * are required in production.
"""


def write(docs: Path, api_url: str = API_URL) -> list[Path]:
    """Write the generated pages that are missing or outdated.

    Args:
        docs: Folder of the pages.
        api_url: URL of the API.

    Returns:
        The pages that have changed.
    """
    written = reference.render(api_url) | {name: render() for name, render in PAGES.items()}
    changed = []
    for name, content in written.items():
        path = docs / name
        # There is no git history in an image: keep an existing page.
        if not content and path.exists():
            continue
        text = FRONT_MATTER + (content or "# Changelog\n\nThere are no commits yet.\n")
        # `docs serve` rebuilds the site on each write.
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
            changed.append(path)
    for path in (docs / reference.FOLDER).glob("*.md"):
        if f"{reference.FOLDER}/{path.name}" not in written:  # its domain was removed
            path.unlink()
    return changed


def changes() -> str:
    """Return the page of the changelog; empty without a git history."""
    text = changelog.render()
    head, entries, rest = text.partition("\n## ")
    note = "" if entries else "\nThere are no such commits yet.\n"
    return text and f"{head}{CHANGELOG_HEAD}{note}{entries}{rest}"


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
    "changelog.md": changes,
    "development/configuration.md": configuration,
}
"""The generated pages besides the API reference, and the functions that render them."""
