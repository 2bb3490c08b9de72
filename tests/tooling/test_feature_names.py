from pathlib import Path

import pytest
from fastship_tooling.feature import names
from fastship_tooling.feature.names import Names, Renaming

ITEMS = Names("items", "item")


@pytest.fixture
def renaming() -> Renaming:
    return Renaming(ITEMS, Names("order_lines", "order_line"))


def test_styles() -> None:
    assert names.camel("order_lines") == "OrderLines"
    assert names.kebab("order_lines") == "order-lines"
    assert names.words("order_lines") == "order lines"
    assert names.sentence("order_lines") == "Order lines"


@pytest.mark.parametrize(
    ("noun", "article"),
    [
        *[("item", "an"), ("Order", "an"), ("product", "a"), ("unit", "a"), ("user_role", "a")],
        *[("uninvoiced hour", "an"), ("hour", "an"), ("euro", "a"), ("one-time code", "a")],
        *[("honor", "an"), ("house", "a"), ("utility", "a"), ("upload", "an")],
    ],
)
def test_article(noun: str, article: str) -> None:
    assert names.article(noun) == article


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("create_item", "create_order_line"),
        ("valid_item_id", "valid_order_line_id"),
        ("ItemService", "OrderLineService"),
        ("ValidItem", "ValidOrderLine"),
        ("Items", "OrderLines"),
        ("ITEMS", "ORDER_LINES"),
        ("itemize", "itemize"),
        ("iterate", "iterate"),
    ],
)
def test_identifier(renaming: Renaming, old: str, new: str) -> None:
    assert renaming.identifier(old) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Create an item.", "Create an order line."),
        ("Items are stored.", "Order lines are stored."),
        ("A row of `items`.", "A row of `order_lines`."),
        ("/api/v1/items/{item_id}", "/api/v1/order-lines/{order_line_id}"),
        ("urn:problem-type:item-not-found", "urn:problem-type:order-line-not-found"),
        ("items_owner_id_idx", "order_lines_owner_id_idx"),
        ("items:{item_id}", "order_lines:{order_line_id}"),
        ("see src/app/items/models.py", "see src/app/order_lines/models.py"),
        ("::: app.items.service", "::: app.order_lines.service"),
        ("- Items: api/items.md", "- Order lines: api/order-lines.md"),
        ("ItemNotFound: It does not exist.", "OrderLineNotFound: It does not exist."),
    ],
)
def test_prose(renaming: Renaming, old: str, new: str) -> None:
    assert renaming.prose(old) == new


def test_code(renaming: Renaming) -> None:
    old = 'for name, value in item.items():  # an item\n    log(f"/items/{item.id}")\n'

    assert renaming.code(old) == (
        "for name, value in order_line.items():  # an order line\n"
        '    log(f"/order-lines/{order_line.id}")\n'
    )


@pytest.mark.parametrize(
    ("old", "code", "expected"),
    [
        (
            Names("tags", "tag"),
            'Router("/tags", tags=["tags"])',
            'Router("/boxes", tags=["boxes"])',
        ),
        (Names("posts", "post"), 'client.post(POSTS, "POST")', 'client.post(BOXES, "POST")'),
    ],
)
def test_names_of_libraries(old: Names, code: str, expected: str) -> None:
    assert Renaming(old, Names("boxes", "box")).code(code) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("src/app/items/models.py", "src/app/order_lines/models.py"),
        ("tests/items/test_item.py", "tests/order_lines/test_order_line.py"),
        ("docs/api/items.md", "docs/api/order-lines.md"),
    ],
)
def test_path(renaming: Renaming, old: str, new: str) -> None:
    assert renaming.path(Path(old)) == Path(new)


def test_new_name_with_the_old_name() -> None:
    renaming = Renaming(ITEMS, Names("item_tags", "item_tag"))

    assert renaming.code("items = create_item(Item)") == "item_tags = create_item_tag(ItemTag)"


def test_changed_article() -> None:
    renaming = Renaming(ITEMS, Names("products", "product"))

    assert renaming.prose("An item, and an item.") == "A product, and a product."
