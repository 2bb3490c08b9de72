"""The pages that `dev` adds, and how to check one."""

import re

from httpx2 import Response

HOSTILE = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


def check_page(response: Response) -> None:
    """Check that a page has escaped what is hostile, and loads nothing that its policy forbids."""
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "'unsafe" not in response.headers["content-security-policy"]
    assert HOSTILE not in response.text
    # No assets of other sites, and nothing that the policy forbids.
    assert re.findall(r'(?:src|action)="(?!/)|<link[^>]*href="(?!/)', response.text) == []
    assert re.findall(r"<script>|<style|style=|onclick", response.text) == []
