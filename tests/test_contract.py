"""The running application against its own OpenAPI schema, by schemathesis."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.conftest import Note
from tests.project import Project
from tests.running import dev
from tests.variants import FULL, Variant

EXAMPLES = 25
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
]
# A condition is checked before the body is validated.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422", "429"]
"""
# These operations would revoke the access token of the other requests.
EXCLUDED = ["/api/v1/auth/logout-everywhere", "/api/v1/auth/me", "/api/v1/auth/me/password"]
MIN_SHARE = {True: 0.6, False: 1.0}
"""Share of operations that must respond with success at least once, with and without accounts.
(The tokens in emails are unknown to schemathesis.)"""


def successful(log: str, schema: dict[str, dict[str, dict[str, object]]]) -> tuple[set[str], int]:
    """Return the operations that have responded with success, and the number of requests.

    Args:
        log: Output of the application, as JSON lines.
        schema: OpenAPI schema.
    """
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line.get("event") == "request"]
    found = set()
    for path, operations in schema["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        found |= {
            f"{method} {path}"
            for method in operations
            for request in requests
            if request["method"].lower() == method
            and request["status"] < httpx2.codes.MULTIPLE_CHOICES
            and pattern.fullmatch(request["path"])
        }
    return found, len(requests)


def test_responses_match_the_schema(fresh: Project, variant: Variant, note: Note) -> None:
    fresh.run("uv", "sync", "--quiet")
    (fresh.path / "schemathesis.toml").write_text(CONFIGURATION)
    with dev(fresh, AUTH_RATE_LIMITS="false", LOG_FORMAT="json", LOG_LEVEL="DEBUG") as app:
        headers = []
        if variant.auth:
            app.signed_in("root@example.com", register=True)
            fresh.uv_run("acme-orders", "users", "promote", "root@example.com")
            signed_in = app.signed_in("root@example.com", register=False)
            headers = ["--header", f"Authorization: {signed_in.headers['authorization']}"]
        excluded = EXCLUDED if variant.auth else []
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run",
                f"{app.url}/openapi.json", *headers,
                "--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES),
                "--generation-deterministic",
                *(part for path in excluded for part in ("--exclude-path", path)),
            ],
            cwd=fresh.path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        schema = app.client().get("/openapi.json").json()
        succeeded, requests = successful(app.so_far(), schema)

    assert done.returncode == 0, done.stdout
    assert "unexpected error" not in app.output
    operations = sum(len(methods) for methods in schema["paths"].values())
    note("contract", f"{len(succeeded)} of {operations}, {requests} requests")
    assert len(succeeded) / operations >= MIN_SHARE[variant.auth], sorted(succeeded)
    assert variant != FULL or "post /api/v1/items" in succeeded
