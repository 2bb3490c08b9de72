from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.kit.schemas import Line, PatchModel, RequestModel, ResponseModel, Text, omittable


class Item(ResponseModel):
    """An item."""

    id: UUID = Field(description="Unique identifier.")
    title: str = Field(description="Title.", examples=["Buy milk"])
    description: str = Field(description="Description.", examples=["Oat, two liters"])
    created_at: datetime = Field(description="Creation time (UTC).")
    updated_at: datetime = Field(description="Time of the last update (UTC).")


class ItemCreate(RequestModel):
    """A new item."""

    title: Line = Field(description="Title.", examples=["Buy milk"])
    description: Text = Field("", description="Description.", examples=["Oat, two liters"])


class ItemUpdate(PatchModel):
    """Changes to an item. Omitted fields keep their value."""

    title: Line = omittable(description="Title.", examples=["Buy bread"])
    description: Text = omittable(description="Description.")
