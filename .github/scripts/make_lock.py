"""Create template/uv.lock.jinja, which renders the lock file of each variant.

The release runs it, in the environment of this repository: `uv run python .github/scripts/make_lock.py`.
"""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from copier import run_copy

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.12", "3.13", "3.14", "3.15")
FEATURES = ("database", "redis", "auth", "docs")
SLUG = "zzz-slug-of-the-project"
PACKAGE = "[[package]]\n"

Answers = tuple[bool | str, ...]
"""A value for each of FEATURES, and the Python version."""


def all_answers(pythons: tuple[str, ...] = PYTHONS) -> Iterator[Answers]:
    """Yield all combinations of answers.

    Args:
        pythons: Python versions. To lock for a version, uv needs an installation of it.
    """
    switches: list[tuple[bool, ...]] = list(product((True, False), repeat=len(FEATURES)))
    for database, redis, auth, docs in switches:
        if database or not auth:
            yield from ((database, redis, auth, docs, python) for python in pythons)


def lock(answers: Answers, folder: Path) -> str:
    """Render a variant and lock its dependencies.

    Args:
        answers: The variant.
        folder: Where to render it.

    Returns:
        The lock file.
    """
    data = dict(zip((*FEATURES, "python_version"), answers, strict=True)) | {"project_slug": SLUG}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about uncommitted changes
        run_copy(str(ROOT), folder, data=data, defaults=True, quiet=True, vcs_ref="HEAD")
    subprocess.run(["uv", "lock", "--quiet"], cwd=folder, check=True)
    return (folder / "uv.lock").read_text("utf-8")


def condition(wanted: frozenset[Answers], every: frozenset[Answers]) -> str:
    """Return a Jinja condition that is true for some combinations of answers only.

    Args:
        wanted: Combinations for which it is true.
        every: All combinations.
    """
    pythons = {answers[-1] for answers in wanted}
    features = {answers[:-1] for answers in wanted}
    listed = sorted(pythons)
    python = (
        f"python_version in {tuple(listed)!r}"
        if len(listed) > 1
        else f"python_version == {listed[0]!r}"
    )
    if wanted == {a for a in every if a[:-1] in features and a[-1] in pythons}:
        parts = [] if pythons == {answers[-1] for answers in every} else [python]
        if features != {answers[:-1] for answers in every}:
            parts.append(_features(features, {answers[:-1] for answers in every}))
        return " and ".join(parts) or "true"
    # There is no simpler condition.
    return f"({', '.join(FEATURES)}, python_version) in {sorted(wanted, key=str)!r}"


def _features(wanted: set[Answers], every: set[Answers]) -> str:
    for number, name in enumerate(FEATURES):
        for value in (True, False):
            if wanted == {answers for answers in every if answers[number] is value}:
                return name if value else f"not {name}"
    return f"({', '.join(FEATURES)}) in {sorted(wanted)!r}"


def merge(locks: dict[Answers, str]) -> str:
    """Merge lock files into a template that renders each of them.

    Args:
        locks: The lock file of each variant.
    """
    every = frozenset(locks)
    # Each package has a few forms, which depend on the variant and the Python version.
    forms: dict[str, dict[str, set[Answers]]] = {}
    for answers, text in locks.items():
        head, *packages = text.split(PACKAGE)
        forms.setdefault("", {}).setdefault(head, set()).add(answers)
        seen: dict[str, str] = {}
        for package in packages:
            name = package.partition("\n")[0]
            seen[name] = seen.get(name, "") + PACKAGE + package.rstrip("\n") + "\n\n"
        for name, package in seen.items():
            forms.setdefault(name, {}).setdefault(package, set()).add(answers)
    parts = []
    for name in sorted(forms):
        for text, where in forms[name].items():
            wanted = condition(frozenset(where), every)
            parts.append(
                text if wanted == "true" else f"# {{% if {wanted} %}}\n{text}# {{% endif %}}\n"
            )
    return "".join(parts).replace(SLUG, "{{ project_slug }}")


def main(target: Path, pythons: tuple[str, ...] = PYTHONS) -> dict[Answers, str]:
    """Create the template of the lock file.

    Args:
        target: File to write.
        pythons: Python versions to lock for.

    Returns:
        The lock file of each combination of answers.
    """
    locks = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, answers in enumerate(all_answers(pythons)):
            locks[answers] = lock(answers, Path(folder) / str(number))
    target.write_text(merge(locks), "utf-8")
    print(f"Wrote {target}: {len(locks)} lock files in {target.stat().st_size // 1024} KiB.")
    return locks


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "template/uv.lock.jinja")
