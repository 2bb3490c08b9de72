"""The wording of docstrings, messages and pages."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

OTHER_OPENERS = {
    "Answer", "Ask", "Bring", "Do", "Find", "Get", "Give", "Go", "Have", "Hold", "Keep", "Know", "Leave", "Let",
    "Look", "Make", "Put", "Say", "See", "Show", "Take", "Tell", "Think", "Try", "Want",
}  # fmt: skip
"""Words that must not start a docstring, because a more precise verb exists."""
ALLOWED = re.compile(r"Show (the|a|this)|Find the|Answer with")
PYTHON = re.compile(r"\.py(\.jinja|' if .+)?$")
"""Names of Python files: plain ones, templates, and those of which one version is rendered."""
PHRASES = {
    r"e-mail": "email",
    r"colour|behaviour|organis|licence|recognis|normalis|initialis|favour|catalogue": "American spelling",
    r"\bbeside\b": "next to",
    r"\b(some|any)body\b|\bwhoever\b": "the actor: a user, a client",
    r"\bgo(es)? on\b": "continues, keeps running",
    r"waits? for your word|what is not named|is let in|let in\b": "a standard term",
    r"\bmisspelt\b|\bspelt\b": "misspelled",
    r"\bthe way in\b|\bby the way\b|nothing of the": "a standard term",
    r"\ba (second|request|worker|run)\b(?= (each|every))|\bonce a worker\b": "per",
    r"\bof its own accord\b|\bby themselves\b": "automatically",
    r"\bnone of (your|our|its) business\b|'s business\b": "a reason",
    r"\bmend(s|ed)?\b|\btid(y|ies)\b(?!-imports)": "fix",
    r"\bstays? as it was\b|\bas it lies\b|\blies? (here|there)\b": "is unchanged",
    r"\bno such thing\b": "a precise term",
}
"""Regular expressions that must not match, and the replacement."""
WRITTEN = {
    ".py",
    ".jinja",
    ".md",
    ".yml",
    ".yaml",
    ".toml",
    ".j2",
    ".html",
    ".js",
    ".css",
    ".example",
    ".env",
    "",
}


def files() -> list[Path]:
    """Return the text files of this repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    paths = [ROOT / name for name in names if name]
    return [
        path
        for path in paths
        if path.is_file() and (path.suffix in WRITTEN or PYTHON.search(path.name))
    ]


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the docstring of each function and class."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            text = ast.get_docstring(node)
            if text:
                yield node.lineno, text


@pytest.mark.parametrize(
    "path",
    [path for path in files() if PYTHON.search(path.name)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_docstrings(path: Path) -> None:
    wrong = [
        f"{line}: {text.splitlines()[0]}"
        for line, text in docstrings(path)
        if re.split(r"\W", text, maxsplit=1)[0] in OTHER_OPENERS and not ALLOWED.match(text)
    ]

    assert wrong == []


def test_phrases() -> None:
    wrong = []
    for path in files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            wrong += [
                f"{path.relative_to(ROOT)}:{number}: {match[0]} -> {better}"
                for pattern, better in PHRASES.items()
                if (match := re.search(pattern, line, re.IGNORECASE))
            ]

    assert wrong == []
