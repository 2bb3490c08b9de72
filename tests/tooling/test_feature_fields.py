from decimal import Decimal

import pytest
from fastship_tooling.feature import like
from fastship_tooling.feature import parse as parser
from fastship_tooling.feature.fields import NO_DEFAULT, Field, enum_module
from fastship_tooling.feature.kinds import code
from fastship_tooling.feature.names import Names
from fastship_tooling.feature.parse import FieldError
from fastship_tooling.project import HAS_DATABASE

PARCELS = Names("parcels", "parcel")
LONG = "discount_categories_of_promotions"
DOMAINS = {
    "items": Names("items", "item"),
    "users": Names("users", "user"),
    LONG: Names(LONG, "discount_category_of_promotions"),
}


def parse(*specifications: str) -> list[Field]:
    return parser.parse(list(specifications), PARCELS, DOMAINS.get)


@pytest.mark.parametrize(
    ("specifications", "message"),
    [
        (["price"], "The field price has no type. Write, for example, price:str"),
        (["price:money"], "The type 'money' of the field price does not exist"),
        (["price:"], "The type '' of the field price does not exist"),
        (["Price:str"], "'Price' is not a valid field name"),
        (["2d:str"], "'2d' is not a valid field name"),
        (["class:str"], "'class' is not a valid field name"),
        (["id:int"], "The name id is reserved"),
        (["metadata:str"], "The name metadata is reserved"),
        (["model_config:str"], "The name model_config is reserved"),
        (["owner:ref[users]"], "The name owner_id is reserved"),
        (["parcel:str"], "The name parcel is reserved"),
        (["parcels:int"], "The name parcels is reserved"),
        (["a:str", "a:int"], "There are two fields with the name a"),
        (["x" * 61 + ":str"], "is longer than 60 characters"),
        (["sender:ref[nobodies]"], "references the domain nobodies, which does not exist"),
        (["item:ref[items]=1"], "is a reference and cannot have a default"),
        (["due:date=2026-05-17"], "The field due of type date cannot have a default"),
        (["size:int=big"], "'big' is not a valid default for size of type int"),
        (["price:decimal=much"], "'much' is not a valid default for price of type decimal"),
        (["size:int=2147483648"], "'2147483648' is not a valid default for size of type int"),
        (["score:float=nan"], "'nan' is not a valid default for score of type float"),
        (["price:decimal=NaN"], "'NaN' is not a valid default for price of type decimal"),
        (["price:decimal=0.001"], "'0.001' is not a valid default for price of type decimal"),
        (["title:str="], "'' is not a valid default for title of type str"),
        (["status:enum"], "The type 'enum' of the field status does not exist"),
        (["status:enum[]"], "The values '' of the field status are not valid"),
        (["status:enum[a, b]"], "The values 'a, b' of the field status are not valid"),
        (["status:enum[a-b,a_b]"], "The field status has two equal values"),
        (["status:enum[a,b]=c"], "'c' is not a valid default for status of type enum"),
        (["update:enum[a,b]"], "The enum of the field update would have the name of another class"),
        (["note:text:filter"], "of type text cannot have the options filter"),
        (["size:int?:sort"], "Lists cannot be sorted by size, which is optional"),
        (
            ["due:date:index"],
            "Options after the type: unique, filter, sort; several as in :filter:sort.",
        ),
        (
            ["number:str:unique?"],
            "The question mark follows the type: number:str?:unique",
        ),
        (["limit:str:filter"], "The query parameter limit would have two meanings"),
        (
            ["size:int:filter", "size_min:int"],
            "The query parameter size_min would have two meanings",
        ),
        (["speed_max:bool:filter"], "Lists cannot be filtered by speed_max"),
        (["str:int"], "The name str is reserved"),
        (["paid:bool=yes"], "'yes' is not a valid default for paid of type bool"),
        (
            ["item:ref[items]:sort"],
            "Lists cannot be sorted by item_id: the order of IDs has no meaning",
        ),
        (
            ["whole:ref[parcels]"],
            "Make it optional, since the first record cannot reference another one",
        ),
        (["parcels:many[parcels]"], "cannot contain parcels. Use ref[parcels]?"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else "",
)
def test_invalid_specification(specifications: list[str], message: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse(*specifications)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("specification", "optional", "required"),
    [
        ("due:date", False, True),
        ("due:date?", True, False),
        ("size:int=3", False, False),
        ("size:int?=3", True, False),
    ],
)
def test_required(specification: str, optional: bool, required: bool) -> None:
    [field] = parse(specification)

    assert (field.optional, field.required) == (optional, required)


@pytest.mark.parametrize(
    ("specification", "default"),
    [
        ("title:str=New", "New"),
        ("note:text=", ""),
        ("title:str=a=b?", "a=b?"),
        ("size:int=-3", -3),
        ("score:float=1.5", 1.5),
        ("price:decimal=19.90", Decimal("19.90")),
        ("title:str= New ", "New"),
        ("paid:bool=false", False),
        ("paid:bool=true", True),
        ("size:int", NO_DEFAULT),
    ],
)
def test_default(specification: str, default: object) -> None:
    [field] = parse(specification)

    assert field.default == default


def test_default_with_two_decimal_places() -> None:
    [field] = parse("price:decimal=1.5")

    # Otherwise the response to POST would differ from that to GET.
    assert str(field.default) == "1.50"


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("due:date:unique", "The field due cannot be unique"),
        ("size:int:unique=3", "The field size cannot be unique"),
        ("sender:ref[users]:unique", "The field sender_id cannot be unique"),
        ("users:many[users]", "The field users cannot contain users. Use ref[users]."),
        ("things:many[items]", "Use the name of the domain: items:many[items]."),
        ("items:many[items]:filter", "of type many cannot have the options filter"),
        (f"{LONG}:many[{LONG}]", "are too long for a list of IDs"),
        ("items:many[items]?", "is a list, which may be empty. Remove the question mark"),
    ],
)
@pytest.mark.skipif(not HAS_DATABASE, reason="the project has no database")
def test_invalid_use_of_the_database(specification: str, message: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse(specification)

    assert message in str(caught.value)


@pytest.mark.parametrize("specification", ["number:str:unique", "items:many[items]"])
@pytest.mark.skipif(HAS_DATABASE, reason="the project has a database")
def test_missing_database(specification: str) -> None:
    with pytest.raises(FieldError, match="database"):
        parse(specification)


@pytest.mark.parametrize(
    ("specification", "options"),
    [
        ("size:int", (False, False)),
        ("size:int:sort", (False, True)),
        ("size:int:sort,filter", (True, True)),
        ("size:int:filter:sort", (True, True)),
        ("size:int:filter:sort=3", (True, True)),
        ("size:int:sort=3", (False, True)),
        ("size:int=3:sort", (False, True)),
        ("due:date?:filter", (True, False)),
        ("status:enum[a,b]:filter", (True, False)),
        ("item:ref[items]:filter", (True, False)),
    ],
)
def test_options(specification: str, options: tuple[bool, bool]) -> None:
    [field] = parse(specification)

    assert (field.filter, field.sort) == options


@pytest.mark.parametrize(
    ("specification", "queries"),
    [
        ("size:int", []),
        (
            "size:int:filter",
            [
                "size_min: QueryInt32 | None = Field(None, description='Minimum size.')",
                "size_max: QueryInt32 | None = Field(None, description='Maximum size.')",
            ],
        ),
        (
            "sent_at:datetime:filter",
            [
                "sent_at_min: UtcDatetime | None = Field(None, description='Earliest sent time.')",
                "sent_at_max: UtcDatetime | None = Field(None, description='Latest sent time.')",
            ],
        ),
        (
            "item:ref[items]:filter",
            ["item_id: UUID | None = Field(None, description='Only entries with this item.')"],
        ),
        (
            "paid:bool:filter",
            ["paid: bool | None = Field(None, description='Whether the parcel is paid.')"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_queries(specification: str, queries: list[str]) -> None:
    [field] = parse(specification)

    assert field.queries == queries


def test_name_of_a_type() -> None:
    columns = [field.column for field in parse("date:date", "datetime:datetime", "due:date?")]

    assert columns == [
        "date: Mapped[dt.date]",
        "datetime: Mapped[dt.datetime]",
        "due: Mapped[dt.date | None]",
    ]


def test_enum() -> None:
    [field] = parse("status:enum[new,on-hold]=new")

    assert field.create == (
        "status: ParcelStatus = Field(ParcelStatus.NEW, description='Status.', examples=['new'])"
    )
    assert field.column == "status: Mapped[ParcelStatus] = mapped_column(server_default='new')"
    assert enum_module([field]) == (
        'from enum import StrEnum\n\n\nclass ParcelStatus(StrEnum):\n    """Status of a parcel."""\n\n'
        '    NEW = "new"\n    ON_HOLD = "on-hold"\n'
    )


@pytest.mark.parametrize("specification", ["sender:ref[users]", "sender_id:ref[users]"])
def test_reference(specification: str) -> None:
    [field] = parse(specification)

    assert field.name == "sender_id"
    assert field.references == DOMAINS["users"]


@pytest.mark.parametrize(
    ("specification", "create", "update", "column"),
    [
        (
            "title:str",
            "title: Line = Field(description='Title.', examples=['First'])",
            "title: Line = omittable(description='Title.', examples=['Second'])",
            "title: Mapped[str] = mapped_column(Text)",
        ),
        (
            "due:date?",
            "due: Date | None = Field(None, description='Due date.', examples=['2026-05-17'])",
            "due: Date | None = omittable(description='Due date.', examples=['2026-06-01'])",
            "due: Mapped[date | None]",
        ),
        (
            "price:decimal=0",
            "price: Money = Field(Decimal(\"0.00\"), description='Price.', examples=['19.90'])",
            "price: Money = omittable(description='Price.', examples=['24.50'])",
            "price: Mapped[Decimal] = mapped_column(Numeric(12, 2), server_default='0.00')",
        ),
        (
            "paid:bool=false",
            "paid: StrictBool = Field("
            "False, description='Whether the parcel is paid.', examples=[True])",
            "paid: StrictBool = omittable("
            "description='Whether the parcel is paid.', examples=[False])",
            "paid: Mapped[bool] = mapped_column(server_default=false())",
        ),
        (
            "item:ref[items]?",
            "item_id: UUID | None = Field(None, description='ID of the item.', "
            "examples=['370f3d98-7397-4ddb-8f31-0102f2a9a3dc'])",
            "item_id: UUID | None = omittable(description='ID of the item.', "
            "examples=['0b8f4d52-3a4e-4f0a-9d0e-5f3f3a1c7b21'])",
            'item_id: Mapped[UUID | None] = reference("items")',
        ),
        (
            "author:ref[users]?",
            "author_id: UUID | None = Field(None, description='ID of the author.', "
            "examples=['370f3d98-7397-4ddb-8f31-0102f2a9a3dc'])",
            "author_id: UUID | None = omittable(description='ID of the author.', "
            "examples=['0b8f4d52-3a4e-4f0a-9d0e-5f3f3a1c7b21'])",
            "author_id: Mapped[UUID | None] = mapped_column("
            'ForeignKey("users.id", ondelete="SET NULL"), index=True)',
        ),
    ],
    ids=lambda value: value if ":" in value[:10] else "",
)
def test_code(specification: str, create: str, update: str, column: str) -> None:
    [field] = parse(specification)

    assert field.create == create
    assert field.update == update
    assert field.column == column


def test_response_has_no_default() -> None:
    [field] = parse("size:int?=3")

    assert field.response == "size: int | None = Field(description='Size.', examples=[3])"
    assert field.attribute == "size: int | None"


@pytest.mark.parametrize(
    ("specification", "description"),
    [
        ("order_number:str", "Order number."),
        ("is_paid:bool", "Whether the parcel is paid."),
        ("has_insurance:bool", "Whether the parcel has insurance."),
        ("due:date", "Due date."),
        ("due_date:date", "Due date."),
        ("paid_on:date", "Paid date."),
        ("sent_at:datetime", "Sent time (UTC)."),
        ("delivery_time:datetime", "Delivery time (UTC)."),
        ("date:date", "Date."),
        ("time:datetime", "Time (UTC)."),
        ("status:enum[a,b]", "Status."),
        ("sender:ref[users]", "ID of the sender."),
    ],
)
def test_description(specification: str, description: str) -> None:
    [field] = parse(specification)

    assert field.description == description


class TestRequestBodies:
    """The values that the generated tests use."""

    FIELDS = ("title:str", "size:int=3", "due:date?", "item:ref[items]", "sender:ref[users]")

    def test_create(self) -> None:
        assert like.body(parse(*self.FIELDS)) == (
            "{'title': 'First', 'size': 3, 'due': '2026-05-17', "
            "'item_id': (await create_item(client))[\"id\"], "
            '\'sender_id\': (await client.get("/api/v1/auth/me")).json()["id"]}'
        )

    def test_update(self) -> None:
        changes = like.changes(parse(*self.FIELDS))

        assert changes == {"title": "Second", "size": 4, "due": "2026-06-01"}

    @pytest.mark.parametrize("checked", [True, False])
    def test_invalid(self, checked: bool) -> None:
        invalid = like.invalid(parse(*self.FIELDS), checked=checked)

        assert ("title", " ") in invalid
        missing_row = ("item_id", "370f3d98-7397-4ddb-8f31-0102f2a9a3dc")
        assert (missing_row in invalid) is checked

    def test_factories(self) -> None:
        assert like.referenced(parse(*self.FIELDS)) == [DOMAINS["items"]]

    def test_long_value(self) -> None:
        assert code(["x" * 201, "x", "xy"]) == "['x' * 201, 'x', 'xy']"
