"""Probes for whoever runs the container. The template's: `copier update` renews it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from fastapi import Request, Response, status
from pydantic import BaseModel, Field

from app.kit.routing import Router

router = Router(prefix="/health", tags=["health"])
log = structlog.stdlib.get_logger(__name__)

CHECK_SECONDS = 2.0

Check = Callable[[], Awaitable[object]]


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests can be served, and if not, why."""

    status: Literal["ok", "unavailable"] = Field(description="The verdict.")
    checks: dict[str, Literal["ok", "down"]] = Field(description="What was asked, one by one.")


@router.get("/live")
async def live() -> Live:
    """Tell that the process runs. Needs nothing else: if it fails, restart the process."""
    return Live()


@router.get(
    "/ready",
    responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Ready, "description": "Not now."}},
)
async def ready(request: Request, response: Response) -> Ready:
    """Tell whether all that requests need is there: if not, send them elsewhere."""
    checks: dict[str, Check] = request.app.state.readiness_checks
    passed = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    if all(passed):
        verdict: Literal["ok", "unavailable"] = "ok"
    else:
        verdict = "unavailable"
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Ready(
        status=verdict,
        checks={name: "ok" if ok else "down" for name, ok in zip(checks, passed, strict=True)},
    )


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:
        log.warning("not ready", check=name, error=f"{type(error).__name__}: {error}")
        return False
    return True
