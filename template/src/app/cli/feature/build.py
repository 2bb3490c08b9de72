"""Making a domain, and taking it back: all of it, or nothing."""

import json
import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.cli import openapi
from app.cli.console import run
from app.cli.dev import STATE
from app.cli.feature.fields import Fields, parse
from app.cli.feature.names import Names, Renaming
from app.cli.feature.project import (
    MAIN,
    SOURCE,
    TESTS,
    FeatureError,
    domain_names,
    files_of,
    identifiers,
    mount,
    own_fields,
    unmount,
)
from app.cli.git import is_committed

MAX_NAME = 40
MADE = STATE / "features.json"

Follow = Callable[[list[str]], None]
"""What follows from new or removed models; is given what may be lost, in words."""


def made_here(name: str) -> Names:
    """Give the names of a domain that can be taken back.

    Args:
        name: The domain.

    Raises:
        FeatureError: It was not made here, or is committed.
    """
    known = _recall()
    if name not in known:
        raise FeatureError(
            f"`feature new` did not make {name} here. What git knows, git can take back."
        )
    if is_committed(SOURCE / name):
        raise FeatureError(f"{name} is committed. Take it back with git revert.")
    return Names(name, known[name])


def unmake(names: Names, after_change: Sequence[Follow]) -> None:
    """Take a domain back, or leave all as it is.

    Args:
        names: The domain.
        after_change: What follows.
    """
    paths = list(files_of(names))
    shared = unmount(names)
    with all_or_nothing([*paths, *shared, openapi.FILE]) as write:
        for path, text in shared.items():
            write(path, text)
        for path in paths:
            write(path, None)
        tidy([MAIN])
        try_out()
        for follow in after_change:
            follow([f"drops the table {names.plural}"])
    _remember({name: one for name, one in _recall().items() if name != names.plural})


def make(
    name: str,
    fields: list[str],
    like: str,
    singular: str | None,
    after_change: Sequence[Follow],
) -> list[Path]:
    """Make a domain, or nothing.

    Args:
        name: The domain.
        fields: Its fields, such as `price:decimal`; by default the pattern's.
        like: The domain that it is made after.
        singular: One of its things.
        after_change: What follows.

    Returns:
        The files.

    Raises:
        PlainError: It is not possible; says why.
    """
    pattern = domain_names(like) if (SOURCE / like / "router.py").exists() else None
    if pattern is None:
        raise FeatureError(f"There is no domain {like} to go by. Name another one: --like DOMAIN")
    sources = list(files_of(pattern))
    used = identifiers(sources)
    names = choose_names(name, singular, used - pattern.identifiers())
    renaming = Renaming(pattern, names)
    texts = {
        renaming.path(path): (renaming.code if path.suffix == ".py" else renaming.prose)(
            path.read_text(encoding="utf-8")
        )
        for path in sources
    }
    if fields:
        # An argument or a method of that name would be in the way.
        reserved = {names.plural, names.singular}
        given = Fields(
            parse(fields, domain_names, reserved),
            names,
            own_fields(pattern),
            stored="Mapped[" in texts.get(SOURCE / name / "models.py", ""),
        )
        for path, rewrite in (
            (SOURCE / name / "models.py", given.models),
            (SOURCE / name / "schemas.py", given.schemas),
            (TESTS / name / "factories.py", given.factories),
        ):
            texts[path] = rewrite(texts.get(path, ""))
    if taken := [path for path in texts if path.exists()]:
        raise FeatureError(f"{taken[0]} exists already.")
    shared = mount(renaming)
    with all_or_nothing([*texts, *shared, openapi.FILE]) as write:
        # The assembly last: a running `dev` must not see it before what it imports.
        for path, text in (texts | shared).items():
            write(path, text)
        tidy([*texts, MAIN])
        try_out()
        for follow in after_change:
            follow([])
    _remember(_recall() | {name: names.singular})
    return [*texts, *shared]


def choose_names(name: str, singular: str | None, used: set[str]) -> Names:
    """Check a domain's name, and find out what one of its things is called.

    Args:
        name: The domain.
        singular: One of its things, if it was said.
        used: Names that the pattern's code uses for something else.

    Raises:
        FeatureError: The name is not possible.
    """
    for text in filter(None, (name, singular)):
        if not re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", text) or len(text) > MAX_NAME:
            raise FeatureError(
                f"{text!r} is no name for a domain: use up to {MAX_NAME} lower-case letters, digits "
                "and _, with a letter first, such as order_lines."
            )
        if keyword.iskeyword(text) or keyword.issoftkeyword(text):
            raise FeatureError(f"{text} is a word of Python.")
    if (SOURCE / name).exists() or (SOURCE / f"{name}.py").exists() or (TESTS / name).exists():
        raise FeatureError(f"There is {name} already, in {SOURCE} or {TESTS}.")
    if domain_names(name):
        raise FeatureError(f"There is a table {name} already.")
    names = Names(name, singular or singular_of(name))
    if names.plural == names.singular:
        raise FeatureError(f"One of {name} needs a name of its own: --singular NAME")
    if clash := sorted(names.identifiers() & used):
        raise FeatureError(f"{clash[0]} has a meaning in the code already: choose another name.")
    return names


def singular_of(plural: str) -> str:
    """Find out what one of several is called.

    Raises:
        FeatureError: The word is no plural.
    """
    from pluralizer import Pluralizer  # noqa: PLC0415  development only

    *first, last = plural.split("_")
    words = Pluralizer()  # type: ignore[no-untyped-call]
    if not words.is_plural(last):
        raise FeatureError(
            f"{plural} is no plural. A domain is named after several things: "
            f"{'_'.join([*first, words.plural(last)])}. If it is right, say what one of them is "
            "called: --singular NAME"
        )
    return "_".join([*first, words.singular(last)])


@contextmanager
def all_or_nothing(paths: list[Path]) -> Iterator[Callable[[Path, str | None], None]]:
    """Give a function that writes files, or removes them; an error brings all back as they were.

    Args:
        paths: The files that may change.
    """
    before = {path: path.read_bytes() if path.exists() else None for path in paths}

    def write(path: Path, text: str | None) -> None:
        if text is None:
            path.unlink()
            _remove_empty(path.parent)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")

    try:
        yield write
    except BaseException:
        for path, content in before.items():
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            elif path.exists():
                write(path, None)
        raise


def _remove_empty(folder: Path) -> None:
    while True:
        for cache in folder.glob("__pycache__"):
            for compiled in cache.iterdir():
                compiled.unlink()
            cache.rmdir()
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def tidy(paths: list[Path]) -> None:
    """Sort imports, take out those that are not used, and break long lines."""
    python = [str(path) for path in paths if path.suffix == ".py"]
    run("ruff", "check", "--fix", "--quiet", "--select", "F401,I", *python)
    run("ruff", "format", "--quiet", *python)


def try_out() -> None:
    """See whether the application can be made, and renew the description of its API.

    Raises:
        FeatureError: It cannot.
    """
    try:
        text = openapi.render()
    except Exception as error:
        raise FeatureError(f"The application would not start; all is as it was. {error}") from error
    if openapi.FILE.exists():
        openapi.FILE.write_text(text, encoding="utf-8", newline="\n")


def _recall() -> dict[str, str]:
    with suppress(FileNotFoundError, ValueError):
        known: dict[str, str] = json.loads(MADE.read_text())
        return known
    return {}


def _remember(made: dict[str, str]) -> None:
    STATE.mkdir(exist_ok=True)
    MADE.write_text(json.dumps(made))
