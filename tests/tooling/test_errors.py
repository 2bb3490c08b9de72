from pathlib import Path
from typing import Any

import pytest
from fastship_tooling import errors


def test_frames_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "src/app"
    monkeypatch.setattr(errors, "PACKAGE", package)
    names: dict[str, Any] = {}
    hidden: dict[str, Any] = {"__tracebackhide__": True}
    for path, code, scope in (
        ("models.py", "def model(call): call()", names),
        ("cli/main.py", "def command(): library()", names),
        ("migrations/__init__.py", "def library(): raise ValueError('no such column')", hidden),
    ):
        exec(compile(code, package / path, "exec"), scope)  # noqa: S102
    names["library"] = hidden["library"]

    try:
        names["model"](names["command"])
    except ValueError as error:
        errors.print_error(error)

    err = capsys.readouterr().err
    assert "models.py" in err
    assert "main.py" not in err
    assert "__init__.py" not in err
    assert "test_errors.py" not in err
    assert err.rstrip().endswith("ValueError: no such column")
