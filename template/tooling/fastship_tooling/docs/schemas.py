"""Types, fields and examples of JSON schemas, for people."""

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
Schemas = dict[str, Schema]

FORMATS = {"uuid": "UUID", "date-time": "date and time", "date": "date", "email": "email address"}
VALUES = {
    "uuid": "0198c0de-5f3a-7c1e-9b2d-4a6f8e0c1d2b",
    "date-time": "2026-01-31T09:30:00Z",
    "date": "2026-01-31",
    "email": "ada@example.com",
    "uri": "https://example.com",
}
BOUNDS = (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"))


def resolve(schema: Schema, schemas: Schemas) -> Schema:
    """Return the schema that a reference names, or the schema itself. Null is left out."""
    if reference := schema.get("$ref"):
        return schemas[reference.rsplit("/", 1)[-1]]
    alternatives = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return resolve(alternatives[0], schemas) if len(alternatives) == 1 else schema


def type_of(schema: Schema) -> str:
    """Return the type of a value, such as `integer, 1 to 100`."""
    if reference := schema.get("$ref"):
        return str(reference.rsplit("/", 1)[-1])
    if alternatives := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(dict.fromkeys(type_of(one) for one in alternatives))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{json.dumps(v)}`" for v in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"array of {type_of(schema.get('items', {}))}"
    return FORMATS.get(schema.get("format", ""), kind) + _limits(schema)


def _limits(schema: Schema) -> str:
    for low, high, unit in BOUNDS:
        if low in schema and high in schema:
            return f", {schema[low]} to {schema[high]}{unit}"
        if low in schema:
            return f", at least {schema[low]}{unit}"
        if high in schema:
            return f", at most {schema[high]}{unit}"
    return ""


def fields(
    schema: Schema, schemas: Schemas, prefix: str = ""
) -> Iterator[tuple[str, Schema, bool]]:
    """Yield the name, the schema and whether it is required of each field, with those of nested objects.

    Args:
        schema: Schema of an object.
        schemas: Schemas that it may reference, by name.
        prefix: Prefix of the names.
    """
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        yield f"{prefix}{name}", part, name in required
        inner, mark = resolve(part, schemas), "."
        if inner.get("type") == "array":
            inner, mark = resolve(inner.get("items", {}), schemas), "[]."
        if inner.get("properties") and not prefix:  # one level
            yield from fields(inner, schemas, f"{name}{mark}")


def example(schema: Schema, schemas: Schemas, name: str = "value") -> Any:
    """Return an example of a value with all of its fields.

    Args:
        schema: Schema of the value.
        schemas: Schemas that it may reference, by name.
        name: Name of the value.
    """
    given = [schema.get("const"), schema.get("default"), *schema.get("enum", ())[:1]]
    for value in (*schema.get("examples", ())[:1], *given):
        if value is not None:
            return value
    known = resolve(schema, schemas)
    alternatives = schema.get("anyOf") or schema.get("oneOf") or [schema]
    inner = alternatives[0] if known is schema else known
    return _by_type(schema, schemas, name) if inner is schema else example(inner, schemas, name)


def _by_type(schema: Schema, schemas: Schemas, name: str) -> Any:
    match schema.get("type"):
        case "object":
            parts = schema.get("properties", {})
            return {key: example(part, schemas, key) for key, part in parts.items()}
        case "array":
            return [example(schema.get("items", {}), schemas, name)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return VALUES.get(schema.get("format", ""), name)
