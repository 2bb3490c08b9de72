"""Dependencies that read the application state."""

from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from app.config import Settings


async def get_settings(request: HTTPConnection) -> Settings:
    """Return the settings of the application."""
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(get_settings)]
