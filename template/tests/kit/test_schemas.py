from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.kit import schemas
from app.kit.schemas import Change, Line


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("Line", "  Buy milk ", '"Buy milk"'),
        ("Text", " as it is\n", '" as it is\\n"'),
        ("Whole", -3, "-3"),
        ("Real", 2, "2.0"),
        ("Amount", "19.90", '"19.90"'),
        ("Flag", False, "false"),
        ("Day", "2026-05-17", '"2026-05-17"'),
        ("Moment", "2026-05-17T12:00:00Z", '"2026-05-17T12:00:00Z"'),
    ],
)
def test_takes(kind: str, value: object, text: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(schemas, kind))

    assert adapter.dump_json(adapter.validate_python(value)).decode() == text


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Line", " "),
        ("Line", "x" * 201),
        ("Text", "\x00"),
        ("Whole", "1"),
        ("Whole", 2**31),
        ("Whole", True),
        ("Real", "1"),
        ("Real", float("inf")),
        ("Amount", "0.001"),
        ("Amount", "1e11"),
        ("Flag", 0),
        ("Flag", "yes"),
        ("Day", 0),
        ("Moment", 0),
        ("Moment", "2026-05-17T12:00:00"),
    ],
)
def test_refuses(kind: str, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(getattr(schemas, kind)).validate_python(value)


def test_changes_are_what_was_named() -> None:
    class ItemUpdate(Change):
        title: Line | None = None
        note: Line | None = None

    assert ItemUpdate(title="Buy bread").changes() == {"title": "Buy bread"}
