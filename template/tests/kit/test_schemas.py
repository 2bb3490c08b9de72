from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.kit import schemas
from app.kit.schemas import Line, PatchModel, omittable


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("Line", "  Buy milk ", '"Buy milk"'),
        ("Text", " as it is\n", '" as it is\\n"'),
        ("Int32", -3, "-3"),
        ("FiniteFloat", 2, "2.0"),
        ("Money", "19.90", '"19.90"'),
        ("Money", "1E2", '"100.00"'),
        ("Money", "-0.0", '"0.00"'),
        ("Date", "2026-05-17", '"2026-05-17"'),
        ("UtcDatetime", "2026-05-17T12:00:00Z", '"2026-05-17T12:00:00Z"'),
        ("UtcDatetime", "2026-05-17T12:00:00+02:00", '"2026-05-17T10:00:00Z"'),
    ],
)
def test_accepted(name: str, value: object, text: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(schemas, name))

    assert adapter.dump_json(adapter.validate_python(value)).decode() == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Line", " "),
        ("Line", "x" * 201),
        ("Text", "\x00"),
        ("Int32", "1"),
        ("Int32", 2**31),
        ("Int32", True),
        ("FiniteFloat", "1"),
        ("FiniteFloat", float("inf")),
        ("Money", "0.001"),
        ("Money", "1e11"),
        ("Date", 0),
        ("Date", "17"),
        ("UtcDatetime", 0),
        ("UtcDatetime", "1700000000.5"),
        ("UtcDatetime", "2026-05-17T12:00:00"),
        ("UtcDatetime", "0001-01-01T00:00:00+23:59"),
        ("UtcDatetime", "0001-01-01T00:00:00Z"),
        ("UtcDatetime", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_rejected(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(getattr(schemas, name)).validate_python(value)


class ThingUpdate(PatchModel):
    title: Line = omittable()
    note: Line | None = omittable()


class TestPatchModel:
    def test_omitted_fields(self) -> None:
        assert ThingUpdate.model_validate({"title": "Milk"}).changes() == {"title": "Milk"}

    def test_null(self) -> None:
        assert ThingUpdate.model_validate({"note": None}).changes() == {"note": None}

    def test_null_that_is_not_allowed(self) -> None:
        with pytest.raises(ValidationError):
            ThingUpdate.model_validate({"title": None})

    def test_schema(self) -> None:
        schema = ThingUpdate.model_json_schema()

        assert "required" not in schema
        assert schema["properties"]["title"]["type"] == "string"
        assert "default" not in schema["properties"]["title"]
