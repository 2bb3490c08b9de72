"""Base classes of the schemas, and reusable field types."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
)

INFINITE = {datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)}
CENT = Decimal("0.01")
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
# Many programs cannot store the NUL character.
NO_NUL = r"^[^\x00]*$"
ONE_LINE = r"^[^\x00\r\n]*$"

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=ONE_LINE)
]
"""A line of 1 to 200 characters."""

Text = Annotated[str, StringConstraints(max_length=10_000, pattern=NO_NUL)]
"""Text of up to 10,000 characters."""

QueryInt32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
"""A 32-bit integer in a query parameter, which is text."""

Int32 = Annotated[QueryInt32, Strict()]
"""A 32-bit integer, as in an INTEGER column. A numeric string is rejected."""

QueryFloat = Annotated[float, Field(allow_inf_nan=False)]
"""A finite number in a query parameter, which is text."""

FiniteFloat = Annotated[QueryFloat, Strict()]
"""A finite number. Unlike Pydantic's type of this name, it rejects a numeric string."""

Money = Annotated[
    Decimal,
    Field(max_digits=12, decimal_places=2),
    # With two decimal places, as it is stored. The addition makes -0.00 positive.
    AfterValidator(lambda value: value.quantize(CENT) + 0),
]
"""A decimal of up to ten digits and two decimal places, serialized as a string to stay exact."""


def _reject_number(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and NUMBER.fullmatch(value)):
        raise ValueError("must be a string in ISO 8601 format, not a number")
    return value


Date = Annotated[date, BeforeValidator(_reject_number)]
"""A date such as 2026-05-17. A Unix timestamp is rejected."""


def _to_utc(value: datetime) -> datetime:
    try:
        utc = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a time between the years 1 and 9999 in UTC") from error
    # These two would be stored as infinite, and returned without an offset.
    if utc in INFINITE:
        raise ValueError("must not be the first or the last possible time")
    return utc


UtcDatetime = Annotated[AwareDatetime, BeforeValidator(_reject_number), AfterValidator(_to_utc)]
"""A date and time with an offset, converted to UTC. A Unix timestamp is rejected."""

UniqueIds = Annotated[
    list[UUID], Field(max_length=100), AfterValidator(lambda ids: sorted(set(ids)))
]
"""Up to 100 IDs, sorted and without duplicates."""


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
