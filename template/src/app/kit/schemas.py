"""Bases of the schemas, and the kinds of text that they are made of."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
)

# NUL is in no text that people write, and not everything can store it.
NO_NUL = r"^[^\x00]*$"

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NO_NUL)
]
"""One to 200 characters."""

Text = Annotated[str, StringConstraints(max_length=10_000, pattern=NO_NUL)]
"""Up to 10,000 characters."""

Whole = Annotated[int, Strict(), Field(ge=-(2**31), lt=2**31)]
"""A whole number that a column of type INTEGER holds; not its text."""

Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A number; not its text."""

Amount = Annotated[Decimal, Field(max_digits=12, decimal_places=2)]
"""A number of up to ten digits and two decimals, exactly as it is written; so it is sent as text."""

Flag = Annotated[bool, Strict()]
"""True or false; not 0, 1, "yes" or "no"."""


def _only_text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("is a number; write it as ISO 8601 has it")
    return value


Day = Annotated[date, BeforeValidator(_only_text)]
"""A date, such as 2026-05-17; not a number of seconds."""

Moment = Annotated[AwareDatetime, BeforeValidator(_only_text)]
"""A date and a time with its zone, such as 2026-05-17T12:00:00Z; not a number of seconds."""


class Input(BaseModel):
    """What a client sends. A field that is not known is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Change(Input):
    """What to change about a thing; what is not named stays."""

    def changes(self) -> dict[str, Any]:
        """Give what was named, by field."""
        return self.model_dump(exclude_none=True)


class Output(BaseModel):
    """What a client gets; made from an object's attributes."""

    model_config = ConfigDict(from_attributes=True)
