"""Code samples for each operation of an OpenAPI schema: curl, Python and TypeScript."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True)
class Variable:
    """A value that the sample reads from an environment variable."""

    name: str


@dataclass(frozen=True)
class Operation:
    """An operation.

    Args:
        method: HTTP method in lower case.
        path: Path with parameters in braces.
        details: Operation object of the OpenAPI schema.
        schemas: All schemas, by name.
    """

    method: str
    path: str
    details: Schema
    schemas: dict[str, Schema]

    @property
    def needs_token(self) -> bool:
        """Whether authentication is required."""
        return bool(self.details.get("security"))

    @property
    def body(self) -> tuple[str, dict[str, Any]] | None:
        """Content type and example of the request body; None without a body."""
        content = self.details.get("requestBody", {}).get("content", {})
        for kind, described in content.items():
            return kind, example(described["schema"], self.schemas)
        return None

    @property
    def has_response_body(self) -> bool:
        """Whether a successful response has a body."""
        return any(
            code.startswith("2") and "content" in response
            for code, response in self.details["responses"].items()
        )


def operations(schema: Schema) -> Iterator[Operation]:
    """Yield the operations of an OpenAPI schema, in its order."""
    schemas = schema.get("components", {}).get("schemas", {})
    for path, methods in schema["paths"].items():
        for method, details in methods.items():
            yield Operation(method, path, details, schemas)


def example(schema: Schema, schemas: dict[str, Schema], name: str = "value") -> Any:
    """Return an example of a value.

    Args:
        schema: JSON schema of the value.
        schemas: Schemas that it may reference, by name.
        name: Name of the value.

    Returns:
        A JSON value. A string without an example is a `Variable`.
    """
    if reference := schema.get("$ref"):
        return example(schemas[reference.rsplit("/", 1)[-1]], schemas, name)
    given = [schema.get("const"), schema.get("default"), *schema.get("enum", ())[:1]]
    for value in (*schema.get("examples", ())[:1], *given):
        if value is not None:
            return value
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if possible := [one for one in alternatives if one.get("type") != "null"]:
        return example(possible[0], schemas, name)
    return _by_type(schema, schemas, name)


def _by_type(schema: Schema, schemas: dict[str, Schema], name: str) -> Any:
    kind = schema.get("type", "")
    if kind == "object":
        required = set(schema.get("required", ()))
        return {
            key: example(part, schemas, key)
            for key, part in schema.get("properties", {}).items()
            if key in required or "examples" in part
        }
    if kind == "array":
        return [example(schema.get("items", {}), schemas, name)]
    plain = {"integer": 1, "number": 1.0, "boolean": True}
    return plain.get(kind, Variable(name.upper()))


def variables(operation: Operation) -> list[str]:
    """Return the environment variables that the samples read, other than API and TOKEN."""
    found = [name.upper() for name in re.findall(r"{(\w+)}", operation.path)]
    if operation.body:
        found += [value.name for value in operation.body[1].values() if isinstance(value, Variable)]
    return found


def curl(operation: Operation) -> str:
    """Return a shell command."""
    path = re.sub(r"{(\w+)}", lambda match: f"${match[1].upper()}", operation.path)
    parts = [f'curl --fail-with-body -X {operation.method.upper()} "$API{path}"']
    if operation.needs_token:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    if operation.body:
        kind, content = operation.body
        if kind == "application/json":
            parts.append('-H "Content-Type: application/json"')
            marked = {
                k: f"\0{v.name}\0" if isinstance(v, Variable) else v for k, v in content.items()
            }
            text = json.dumps(marked, ensure_ascii=False).replace("'", "'\\''")
            shown = re.sub(r"\\u0000(\w+)\\u0000", r"""'"$\1"'""", text)
            parts.append(f"-d '{shown}'")
        else:
            for key, value in content.items():
                given = f"${value.name}" if isinstance(value, Variable) else value
                parts.append(f'--data-urlencode "{key}={given}"')
    return " \\\n  ".join(parts)


def python(operation: Operation) -> str:
    """Return a script that uses httpx2."""

    def literal(value: Any) -> str:
        return f'os.environ["{value.name}"]' if isinstance(value, Variable) else repr(value)

    path = re.sub(r"{(\w+)}", lambda m: f"{{os.environ['{m[1].upper()}']}}", operation.path)
    quoted = f'f"{path}"' if "{" in path else f'"{path}"'
    arguments = [f'"{operation.method.upper()}"', quoted]
    if operation.needs_token:
        arguments.append('headers={"Authorization": f"Bearer {os.environ[\'TOKEN\']}"}')
    if operation.body:
        kind, content = operation.body
        keyword = "json" if kind == "application/json" else "data"
        fields = "".join(
            f"            {key!r}: {literal(value)},\n" for key, value in content.items()
        ).replace("'", '"')
        arguments.append(f"{keyword}={{\n{fields}        }}")
    lines = "".join(f"        {argument},\n" for argument in arguments)
    output = (
        "print(response.json())" if operation.has_response_body else "print(response.status_code)"
    )
    return (
        "import os\n\nimport httpx2\n\n"
        'with httpx2.Client(base_url=os.environ["API"]) as client:\n'
        f"    response = client.request(\n{lines}    )\n"
        f"response.raise_for_status()\n{output}"
    )


def typescript(operation: Operation) -> str:
    """Return a module that uses fetch."""

    def literal(value: Any) -> str:
        if isinstance(value, Variable):
            return f"process.env.{value.name}"
        return json.dumps(value, ensure_ascii=False)

    path = re.sub(r"{(\w+)}", lambda m: f"${{process.env.{m[1].upper()}}}", operation.path)
    headers = []
    options = [f'method: "{operation.method.upper()}",']
    if operation.needs_token:
        headers.append("Authorization: `Bearer ${process.env.TOKEN}`")
    if operation.body:
        kind, content = operation.body
        fields = ", ".join(f"{key}: {literal(value)}" for key, value in content.items())
        if kind == "application/json":
            headers.append('"Content-Type": "application/json"')
            options.append(f"body: JSON.stringify({{ {fields} }}),")
        else:
            # URLSearchParams accepts only strings, but process.env values may be undefined.
            fields = re.sub(r"(process\.env\.\w+)", r"\1!", fields)
            options.append(f"body: new URLSearchParams({{ {fields} }}),")
    if headers:
        options.insert(1, f"headers: {{ {', '.join(headers)} }},")
    lines = "".join(f"  {option}\n" for option in options)
    output = "await response.json()" if operation.has_response_body else "response.status"
    return (
        f"const response = await fetch(`${{process.env.API}}{path}`, {{\n{lines}}});\n"
        "if (!response.ok) throw new Error(await response.text());\n"
        f"console.log({output});"
    )


LANGUAGES = {"curl": ("bash", curl), "Python": ("python", python), "TypeScript": ("ts", typescript)}
"""Languages, with the name of the language in Markdown and the function that renders a sample."""
