"""The running application against its own OpenAPI schema, by schemathesis."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import Project
from tests.running import dev
from tests.variants import BARE, FULL, MIXED, Variant

EXAMPLES = 25
# What an error must never be, and what an answer must always be.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
]
# They would end the sign-in that the other requests are made with.
LEFT_OUT = ["/api/v1/auth/logout-everywhere", "/api/v1/auth/me", "/api/v1/auth/me/password"]


@pytest.mark.parametrize(
    "variant",
    [FULL, MIXED, BARE],
    ids=str,
)
def test_schema_is_kept(fresh: Project, variant: Variant) -> None:
    fresh.run("uv", "sync", "--quiet")
    with dev(fresh, AUTH_RATE_LIMITS="false") as app:
        headers = []
        if variant.auth:
            app.signed_in("root@example.com", register=True)
            fresh.uv_run("acme-orders", "users", "promote", "root@example.com")
            signed_in = app.signed_in("root@example.com", register=False)
            headers = ["--header", f"Authorization: {signed_in.headers['authorization']}"]
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run",
                f"{app.url}/openapi.json", *headers,
                "--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES),
                "--generation-deterministic",
                *(part for path in LEFT_OUT for part in ("--exclude-path", path)),
            ],
            cwd=fresh.path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert "unexpected error" not in app.output
