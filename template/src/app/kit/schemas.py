"""Base classes of the schemas, and reusable field types."""

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

# Many programs cannot store the NUL character.
NO_NUL = r"^[^\x00]*$"

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NO_NUL)
]
"""Text of 1 to 200 characters."""

Text = Annotated[str, StringConstraints(max_length=10_000, pattern=NO_NUL)]
"""Text of up to 10,000 characters."""

Int32 = Annotated[int, Strict(), Field(ge=-(2**31), lt=2**31)]
"""A 32-bit integer, as in an INTEGER column. A numeric string is rejected."""

FiniteFloat = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A finite number. Unlike Pydantic's type of this name, it rejects a numeric string."""

Money = Annotated[Decimal, Field(max_digits=12, decimal_places=2)]
"""A decimal of up to ten digits and two decimal places, serialized as a string to stay exact."""


def _reject_number(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("must be a string in ISO 8601 format, not a number")
    return value


Date = Annotated[date, BeforeValidator(_reject_number)]
"""A date such as 2026-05-17. A Unix timestamp is rejected."""

UtcDatetime = Annotated[AwareDatetime, BeforeValidator(_reject_number)]
"""A date and time with an offset, such as 2026-05-17T12:00:00Z. A Unix timestamp is rejected."""


def omittable(**options: Any) -> Any:
    """Return a field of a `PatchModel` that may be omitted.

    Null is accepted only where the type of the field allows it.

    Args:
        options: Options of `pydantic.Field`.

    Example:
        `title: Line = omittable(description="Title.")`
    """
    # A default factory, unlike a default, does not appear in the JSON schema.
    return Field(default_factory=lambda: None, **options)


class RequestModel(BaseModel):
    """Base class of request bodies. Unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid")


class PatchModel(RequestModel):
    """Base class of the bodies of PATCH requests. Omitted fields keep their value."""

    def changes(self) -> dict[str, Any]:
        """Return the fields that the client sent."""
        return self.model_dump(exclude_unset=True)


class ResponseModel(BaseModel):
    """Base class of responses, created from the attributes of an object."""

    model_config = ConfigDict(from_attributes=True)
