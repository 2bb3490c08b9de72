"""Health checks for containers and load balancers. Owned by the template."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, Field

router = APIRouter(prefix="/health", tags=["health"])
log = structlog.stdlib.get_logger(__name__)

CHECK_SECONDS = 2.0

# An error means that the application cannot handle requests, and False that some of them fail.
Check = Callable[[], Awaitable[object]]


class Live(BaseModel):
    """Liveness of the process."""

    status: Literal["ok"] = Field("ok", description="Always `ok`.")


class Ready(BaseModel):
    """Readiness of the application."""

    status: Literal["ok", "unavailable"] = Field(description="Overall status.")
    checks: dict[str, Literal["ok", "down"]] = Field(description="Status of each dependency.")


@router.get("/live", summary="Check liveness")
async def live() -> Live:
    """Return whether the process is running. If this fails, restart it."""
    return Live()


@router.get(
    "/ready",
    summary="Check readiness",
    responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Ready, "description": "Not ready."}},
)
async def ready(request: Request, response: Response) -> Ready:
    """Return whether the application can handle requests. If not, send them elsewhere."""
    checks: dict[str, Check] = request.app.state.readiness_checks
    results = await asyncio.gather(*(_run(name, check) for name, check in checks.items()))
    failed = any(isinstance(result, Exception) for result in results)
    if failed:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    states: list[Literal["ok", "down"]] = [
        "down" if result is False or isinstance(result, Exception) else "ok" for result in results
    ]
    return Ready(
        status="unavailable" if failed else "ok", checks=dict(zip(checks, states, strict=True))
    )


async def _run(name: str, check: Check) -> object:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except Exception as error:
        log.warning("readiness check failed", check=name, error=f"{type(error).__name__}: {error}")
        return error
