"""The API reference: a page for each tag of the OpenAPI schema, and one that lists all endpoints."""

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from fastship_tooling import openapi
from fastship_tooling.docs import schemas
from fastship_tooling.docs.samples import LANGUAGES, Operation, Schema, operations, variables
from fastship_tooling.docs.settings import API_URL, SUFFIX

FOLDER = "api/endpoints"
HEAD = """\
# Endpoints

Look up every endpoint: parameters, body, response, errors, and samples in curl, Python and TypeScript. Each page can also
send requests.

## Samples

The samples read the URL of the API from the environment variable `API`.{token}

```sh
export API={url}{export}
```
"""


def render(api_url: str = API_URL) -> dict[str, str]:
    """Return the pages, by their path in `docs/`.

    Args:
        api_url: URL of the API in the samples.
    """
    schema = openapi.schema()
    texts = {tag["name"]: tag.get("description", "") for tag in schema.get("tags", ())}
    order = list(texts)
    found = sorted(
        operations(schema),
        key=lambda one: order.index(tag_of(one)) if tag_of(one) in texts else len(order),
    )
    groups = [(tag, list(group)) for tag, group in groupby(found, key=tag_of)]
    shared = _shared_errors(found, schema)
    rendered = {f"{FOLDER}/index.md": _overview(groups, shared, api_url)}
    for tag, group in groups:
        parts = [f"# {title(tag)}{SUFFIX}\n", f"{texts.get(tag, '')}\n"]
        parts += [_operation(operation, schema, shared) for operation in group]
        rendered[f"{FOLDER}/{tag}.md"] = "\n".join(parts)
    return rendered


def title(tag: str) -> str:
    """Return the title of the page of a tag."""
    return re.sub(r"[-_]", " ", tag).capitalize()


def tag_of(operation: Operation) -> str:
    """Return the tag of an operation."""
    return str(operation.details.get("tags", ["other"])[0])


def _overview(
    groups: list[tuple[str, list[Operation]]], shared: dict[str, Schema], api_url: str
) -> str:
    secured = any(operation.needs_token for _, group in groups for operation in group)
    parts = [
        HEAD.format(
            url=api_url,
            token=" `TOKEN` is an access token." if secured else "",
            export="\nexport TOKEN=..." if secured else "",
        )
    ]
    for tag, group in groups:
        rows = [
            [f"[{_summary(one)}]({tag}.md#{_anchor(one)})", f"`{one.method.upper()} {one.path}`"]
            for one in group
        ]
        parts += [f"## {title(tag)}\n", _table(["Description", "Endpoint"], rows)]
    parts += [
        "## Errors\n",
        "Most endpoints can respond with these errors. The pages list the other ones.\n",
        _error_table(shared.values()),
        "An example:\n",
        _json(next(iter(shared.values()), {})),
    ]
    return "\n".join(parts)


def _operation(operation: Operation, schema: Schema, shared: dict[str, Schema]) -> str:
    details = operation.details
    description = details.get("description", "").strip()
    if description.rstrip(".") == _summary(operation):
        description = ""
    token = "Requires an access token." if operation.needs_token else ""
    parts = [
        f"## {_summary(operation)} {{ #{_anchor(operation)} }}\n",
        f"`{operation.method.upper()} {operation.path}`\n{{ .endpoint }}\n",
        *(f"{text}\n" for text in (description, token) if text),
        *_parameters(operation),
        *_body(operation),
        *_samples(operation),
        f'<div class="try-it" data-request="{html.escape(json.dumps(_request(operation)))}"></div>\n',
        *_response(operation),
    ]
    errors = {k: e for k, e in _errors(operation, schema).items() if k not in shared}
    if errors:
        parts += ["**Errors**, besides the [shared ones](index.md#errors)\n"]
        parts += [_error_table(errors.values())]
    return "\n".join(parts)


def _parameters(operation: Operation) -> Iterator[str]:
    if not (parameters := operation.details.get("parameters")):
        return
    rows = [
        [
            f"`{parameter['name']}`",
            f"{parameter['in']}, {schemas.type_of(parameter['schema']).removesuffix(' or null')}",
            _default(parameter["schema"], required=parameter.get("required", False)),
            parameter.get("description") or parameter["schema"].get("description", ""),
        ]
        for parameter in parameters
    ]
    yield "**Parameters**\n"
    yield _table(["Name", "Type", "Default", "Description"], rows)


def _body(operation: Operation) -> Iterator[str]:
    for kind, content in operation.details.get("requestBody", {}).get("content", {}).items():
        body = schemas.resolve(content["schema"], operation.schemas)
        rows = [
            [f"`{name}`", schemas.type_of(part), _default(part, required=required), _text(part)]
            for name, part, required in schemas.fields(body, operation.schemas)
        ]
        yield f"**Body** (`{kind}`)\n"
        yield _table(["Field", "Type", "Default", "Description"], rows)


def _samples(operation: Operation) -> Iterator[str]:
    if needed := variables(operation):
        names = ", ".join(f"`{name}`" for name in needed)
        yield f"The samples read {names} from the environment.\n"
    for name, (mark, sample) in LANGUAGES.items():
        lines = [f'=== "{name}"', "", f"    ```{mark}"]
        lines += [f"    {line}".rstrip() for line in sample(operation).splitlines()]
        yield "\n".join([*lines, "    ```", ""])


def _response(operation: Operation) -> Iterator[str]:
    for code, response in operation.details["responses"].items():
        if not code.startswith("2"):
            continue
        content = response.get("content", {}).get("application/json", {}).get("schema")
        if not content:
            yield f"**Response** ({code}): no content\n"
            continue
        body = schemas.resolve(content, operation.schemas)
        rows = [
            [f"`{name}`", schemas.type_of(part), _text(part)]
            for name, part, _ in schemas.fields(body, operation.schemas)
        ]
        yield f"**Response** ({code})\n"
        yield _table(["Field", "Type", "Description"], rows) if rows else ""
        yield _json(schemas.example(content, operation.schemas))


def _request(operation: Operation) -> dict[str, Any]:
    """Return what the form of a page needs to send a request."""
    content = operation.details.get("requestBody", {}).get("content", {})
    kind = next(iter(content), None)
    body = schemas.example(content[kind]["schema"], operation.schemas) if kind else None
    if isinstance(body, dict):  # optional fields are left out
        required = schemas.resolve(content[kind]["schema"], operation.schemas).get("required")
        body = {k: v for k, v in body.items() if k in required} if required else body
    return {
        "method": operation.method.upper(),
        "path": operation.path,
        "secured": operation.needs_token,
        "parameters": [
            {"name": p["name"], "in": p["in"], "required": p.get("required", False)}
            for p in operation.details.get("parameters", ())
        ],
        "type": kind,
        "body": body,
    }


def _errors(operation: Operation, schema: Schema) -> dict[str, Schema]:
    """Return the examples of the errors of an operation, by name."""
    known = schema.get("components", {}).get("examples", {})
    found = {}
    for response in operation.details["responses"].values():
        for content in response.get("content", {}).values():
            for name, example in content.get("examples", {}).items():
                value = known[name] if "$ref" in example else example
                found[name] = value["value"]
    return _by_status(found)


def _shared_errors(found: list[Operation], schema: Schema) -> dict[str, Schema]:
    """Return the errors that more than half of the operations have."""
    errors = [_errors(operation, schema) for operation in found]
    counts = Counter(name for of_one in errors for name in of_one)
    everything = {name: error for of_one in errors for name, error in of_one.items()}
    return _by_status({k: e for k, e in everything.items() if counts[k] * 2 > len(found)})


def _by_status(errors: dict[str, Schema]) -> dict[str, Schema]:
    return dict(sorted(errors.items(), key=lambda item: (item[1].get("status", 0), item[0])))


def _error_table(errors: Any) -> str:
    rows = [
        [str(e["status"]), f"`{e.get('type', 'about:blank')}`", e.get("detail", e["title"])]
        for e in errors
    ]
    return _table(["Status", "Type", "Description"], rows)


def _summary(operation: Operation) -> str:
    return str(operation.details.get("summary") or operation.path)


def _anchor(operation: Operation) -> str:
    return str(operation.details["operationId"]).replace(".", "-").replace("_", "-")


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "required"
    default = schema.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _text(schema: Schema) -> str:
    return str(schema.get("description", ""))


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
