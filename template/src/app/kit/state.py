"""Dependencies that read the application state."""

from typing import Annotated

from fastapi import Depends, Request

from app.config import Settings


async def get_settings(request: Request) -> Settings:
    """Return the settings of the application."""
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(get_settings)]
