"""Error reports to Sentry."""

from importlib import import_module
from typing import Any

from app.config import SLUG, VERSION, Settings
from app.kit.logs import request_id_var


def configure_error_reports(settings: Settings) -> None:
    """Send unexpected errors to Sentry, if `SENTRY_DSN` is set.

    A report has the traceback, the path and the request ID, but no personal data.

    Args:
        settings: Provides the DSN and the environment.
    """
    if settings.sentry.dsn is None:
        return
    import_module("sentry_sdk").init(
        dsn=settings.sentry.dsn.get_secret_value(),
        environment=settings.app.environment,
        release=f"{SLUG}@{VERSION}",
        before_send=_complete,
        # Local variables, bodies and previous log lines may contain anything.
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        send_default_pii=False,
    )


def _complete(report: dict[str, Any], _hint: object) -> dict[str, Any]:
    if request_id := request_id_var.get():
        report.setdefault("tags", {})["request_id"] = request_id
    if "request" in report:
        kept = ("method", "url")
        report["request"] = {name: report["request"].get(name) for name in kept}
    return report
