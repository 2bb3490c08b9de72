"""Create and remove a domain: completely, or not at all."""

import ast
import keyword
import re
from pathlib import Path

from app.cli.console import CLIError
from fastship_tooling import openapi
from fastship_tooling.checks import run_module
from fastship_tooling.errors import print_error
from fastship_tooling.feature import like
from fastship_tooling.feature.fields import Field
from fastship_tooling.feature.files import all_or_nothing
from fastship_tooling.feature.kinds import KINDS
from fastship_tooling.feature.names import Names, camel
from fastship_tooling.feature.parse import parse
from fastship_tooling.feature.project import (
    PAGES,
    SOURCE,
    TESTS,
    FeatureError,
    files_of,
    find_domain,
    get_domain,
    mount,
    require_unused,
    start_database,
    sync_schema,
    tables_of,
    taken_names,
    unmount,
)
from fastship_tooling.feature.read import UNKNOWN, arguments_of, command_of
from fastship_tooling.feature.render import possible_files, render
from fastship_tooling.git import has_changes
from fastship_tooling.leftovers import find_leftovers
from fastship_tooling.project import HAS_AUTH

MAX_NAME = 40
DEFAULT_FIELDS = ["title:str"]


def create(
    name: str,
    specifications: list[str],
    *,
    pattern: str | None = None,
    singular: str | None = None,
    public: bool = False,
    superuser: bool = False,
) -> list[Path]:
    """Create a domain.

    Args:
        name: Plural name.
        specifications: Fields, such as `price:decimal`.
        pattern: Domain to copy; None for the built-in pattern.
        singular: Singular name; None to derive it.
        public: Whether everyone can read all records.
        superuser: Whether only superusers can call the endpoints that `public` does not open.

    Returns:
        The files that were created or changed.

    Raises:
        CLIError: The domain cannot be created. Nothing has changed.
    """
    require_accounts(public or superuser)
    names = choose_names(name, singular)
    if (public or superuser) and pattern is not None:
        raise FeatureError(
            "With --like, the copy has the access of its pattern. Omit --public and --superuser."
        )
    if pattern is None:
        fields = parse(specifications or DEFAULT_FIELDS, names, find_domain)
        texts = render(names, fields, public=public, superuser=superuser)
    else:
        fields = parse(specifications, names, find_domain)
        texts = like.copy_domain(get_domain(pattern), names, fields)
    if existing := [path for path in texts if path.exists()]:
        raise FeatureError(f"{existing[0]} already exists.")
    shared = mount(names)
    with start_database(), all_or_nothing([*texts, *shared, openapi.FILE]) as write:
        # domains.py is written last: a running `dev` must not import files that do not exist yet.
        for path, text in [*texts.items(), *shared.items()]:
            write(path, text)
        format_code([path for path in [*texts, *shared] if path.suffix == ".py"])
        check_application()
        sync_schema([])
    return [*texts, *shared]


def create_again(
    name: str, specifications: list[str], *, public: bool = False, superuser: bool = False
) -> list[Path]:
    """Write the code of a domain again, for the features that the project has now.

    The page of the domain, and files that are not from the pattern, stay. No migration is created: the
    change may be destructive.

    Args:
        name: Plural name.
        specifications: All fields, such as `price:decimal`. Without them, the fields and the access are
            those of the current code.
        public: Whether everyone can read all records.
        superuser: Whether only superusers can call the endpoints that `public` does not open.

    Returns:
        The files that were written or deleted.

    Raises:
        CLIError: The code cannot be written. Nothing has changed.
    """
    require_accounts(public or superuser)
    names = get_domain(name)
    if not specifications:
        specifications, options = arguments_of(names)
        public, superuser = "--public" in options, "--superuser" in options
        if unknown := [text for text in specifications if f":{UNKNOWN}" in text]:
            raise FeatureError(
                f"The type of these fields is unknown: {', '.join(unknown)}. Pass all fields of {name}:\n"
                f"  {command_of(names)}"
            )
    folders = [SOURCE / name, TESTS / name]
    if has_changes(*folders):
        raise FeatureError(f"Commit {folders[0]} and {folders[1]} first. --again overwrites them.")
    fields = parse(specifications, names, find_domain)
    rendered = render(names, fields, public=public, superuser=superuser)
    texts = {p: text for p, text in rendered.items() if p.parent != PAGES or not p.exists()}
    obsolete = sorted(p for p in possible_files(names) - set(texts) if p.exists())
    with all_or_nothing([*texts, *obsolete, openapi.FILE]) as write:
        for path in obsolete:
            write(path, None)
        for path, text in texts.items():
            write(path, text)
        format_code([path for path in texts if path.suffix == ".py"])
        if not find_leftovers():  # of other domains
            check_application()
    return [*texts, *obsolete]


def require_accounts(required: bool) -> None:
    """Check that the project has accounts if a domain requires them.

    Args:
        required: Whether the domain requires accounts.

    Raises:
        FeatureError: The project has no accounts.
    """
    if required and not HAS_AUTH:
        raise FeatureError(
            "--public and --superuser need accounts, which this project does not have."
        )


def remove(names: Names) -> None:
    """Remove a domain, including its table.

    Args:
        names: The domain.

    Raises:
        CLIError: The domain cannot be removed. Nothing has changed.
    """
    require_unused(names)
    paths, tables = list(files_of(names)), tables_of(names)
    shared = unmount(names)
    with all_or_nothing([*paths, *shared, openapi.FILE]) as write:
        for path, text in shared.items():
            write(path, text)
        for path in paths:
            write(path, None)
        format_code([path for path in shared if path.suffix == ".py"])
        check_application()
        sync_schema([f"drops the table {name}" for name in tables])


def choose_names(name: str, singular: str | None) -> Names:
    """Check the name of a new domain, and derive its singular.

    Args:
        name: Plural name.
        singular: Singular name, if it was given.

    Raises:
        FeatureError: The name is not possible.
    """
    for text in (name, singular or name):
        if not re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", text) or len(text) > MAX_NAME:
            raise FeatureError(
                f"{text!r} is not a valid domain name. Use up to {MAX_NAME} lower-case letters, "
                "digits and underscores, such as order_lines."
            )
    other = f"Choose another name, such as {name.removesuffix('s')}_entries."
    if name in taken_names():
        raise FeatureError(f"{name} already exists in {SOURCE} or {TESTS}. {other}")
    if find_domain(name):
        raise FeatureError(f"The table {name} already exists. {other}")
    names = Names(name, singular or singular_of(name))
    if names.plural == names.singular:
        raise FeatureError(
            f"Plural and singular must differ. Pass --singular NAME for one of {name}."
        )
    used = identifiers()
    for text in (names.plural, camel(names.plural), names.singular, camel(names.singular)):
        if keyword.iskeyword(text) or keyword.issoftkeyword(text):
            clash = f"{text} is a keyword of Python."
        elif text in used:
            clash = (
                f"{name} does not work, because the code of a domain already uses the name {text}."
            )
        else:
            continue
        if text in {names.plural, camel(names.plural)}:
            raise FeatureError(f"{clash} {other}")
        raise FeatureError(
            f"{clash} Pass another singular, such as --singular {names.singular}_entry, or choose another "
            "name."
        )
    return names


def identifiers() -> set[str]:
    """Return the variables, functions and classes in the code of every domain, except its own."""
    found = set()
    names = Names("placeholders", "placeholder")
    fields = [Field("placeholder_size", KINDS["int"], names, filter=True, sort=True)]
    for path, text in render(names, fields).items():
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(text)):
                match node:
                    case ast.Name(id=name) | ast.arg(arg=name):
                        found.add(name)
                    case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                        found.add(name)
                    case ast.alias(name=name, asname=asname):
                        found.add(asname or name)
    return found


def singular_of(plural: str) -> str:
    """Return the singular of a noun.

    Raises:
        FeatureError: The noun is not a plural.
    """
    from pluralizer import Pluralizer

    *first, last = plural.split("_")
    nouns = Pluralizer()  # type: ignore[no-untyped-call]
    if not nouns.is_plural(last):
        suggestion = "_".join([*first, nouns.plural(last)])
        raise FeatureError(
            f"{plural} is not a plural. Did you mean {suggestion}? If it is correct, pass its singular: "
            "--singular NAME"
        )
    return "_".join([*first, str(nouns.singular(last))])


def format_code(paths: list[Path]) -> None:
    """Sort imports, remove unused ones, and format.

    Args:
        paths: Python files.
    """
    files = [str(path) for path in paths]
    run_module("ruff", "check", "--fix", "--quiet", "--select", "F401,I", *files)
    run_module("ruff", "format", "--quiet", *files)


def check_application() -> None:
    """Check that the application can be created, and update the OpenAPI schema.

    Raises:
        FeatureError: It cannot be created. The traceback is printed.
    """
    try:
        if openapi.FILE.exists():
            text = openapi.render()
            openapi.FILE.write_text(text, encoding="utf-8", newline="\n")
        else:
            openapi.application()
    except CLIError:
        raise
    except Exception as error:
        print_error(error)
        raise FeatureError(
            "The application cannot be created: see the error above. All files were restored."
        ) from error
