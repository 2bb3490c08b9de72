from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.kit.schemas import Change, Input, Line, Output, Text


class Item(Output):
    """An item."""

    id: UUID = Field(description="Names the item.")
    title: str = Field(description="What it is called.", examples=["Buy milk"])
    description: str = Field(description="What else is to say.", examples=["Oat, two litres"])
    created_at: datetime = Field(description="When it was made.")
    updated_at: datetime = Field(description="When it was last changed.")


class ItemCreate(Input):
    """A new item."""

    title: Line = Field(description="What it is called.", examples=["Buy milk"])
    description: Text = Field("", description="What else is to say.", examples=["Oat, two litres"])


class ItemUpdate(Change):
    """What to change about an item; what is not named stays."""

    title: Line | None = Field(None, description="Its new title.", examples=["Buy bread"])
    description: Text | None = Field(None, description="Its new description.")
