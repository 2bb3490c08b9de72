"""Bases of the schemas, and the kinds of text that they are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# NUL is in no text that people write, and not everything can store it.
NO_NUL = r"^[^\x00]*$"

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NO_NUL)
]
"""One to 200 characters."""

Text = Annotated[str, StringConstraints(max_length=10_000, pattern=NO_NUL)]
"""Up to 10,000 characters."""


class Input(BaseModel):
    """What a client sends. A field that is not known is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """What a client gets; made from an object's attributes."""

    model_config = ConfigDict(from_attributes=True)
