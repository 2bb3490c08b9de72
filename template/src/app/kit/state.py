"""What requests find on the application."""

from typing import Annotated

from fastapi import Depends, Request

from app.config import Settings


async def get_settings(request: Request) -> Settings:
    """Give a request the settings that its application was made with."""
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(get_settings)]
