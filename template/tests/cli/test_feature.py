import shutil
from pathlib import Path

import pytest

from app.cli.console import PlainError
from app.cli.feature import build, fields, project
from app.cli.feature.fields import FieldError
from app.cli.feature.names import Names, Renaming
from app.cli.feature.project import FeatureError

ITEMS = Names("items", "item")


class TestRenaming:
    @pytest.fixture
    def renaming(self) -> Renaming:
        return Renaming(ITEMS, Names("order_lines", "order_line"))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("create_item", "create_order_line"),
            ("valid_item_id", "valid_order_line_id"),
            ("ItemService", "OrderLineService"),
            ("ValidItem", "ValidOrderLine"),
            ("Items", "OrderLines"),
            ("ITEMS", "ORDER_LINES"),
            ("itemise", "itemise"),
            ("iterate", "iterate"),
        ],
    )
    def test_identifiers(self, renaming: Renaming, old: str, new: str) -> None:
        assert renaming.identifier(old) == new

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("Create an item.", "Create an order line."),
            ("Items are kept.", "Order lines are kept."),
            ("A row of `items`.", "A row of `order_lines`."),
            ("/api/v1/items/{item_id}", "/api/v1/order-lines/{order_line_id}"),
            ("urn:problem-type:item-not-found", "urn:problem-type:order-line-not-found"),
            ("items_owner_id_idx", "order_lines_owner_id_idx"),
            ("items:{item_id}", "order_lines:{order_line_id}"),
            ("see src/app/items/models.py", "see src/app/order_lines/models.py"),
            ("::: app.items.service", "::: app.order_lines.service"),
            ("- Items: api/items.md", "- Order lines: api/order-lines.md"),
            ("ItemNotFound: There is none.", "OrderLineNotFound: There is none."),
        ],
    )
    def test_prose(self, renaming: Renaming, old: str, new: str) -> None:
        assert renaming.prose(old) == new

    def test_code(self, renaming: Renaming) -> None:
        old = 'for name, value in item.items():  # an item\n    log(f"/items/{item.id}")\n'

        assert renaming.code(old) == (
            "for name, value in order_line.items():  # an order line\n"
            '    log(f"/order-lines/{order_line.id}")\n'
        )

    def test_new_name_may_hold_the_old_one(self) -> None:
        renaming = Renaming(ITEMS, Names("item_tags", "item_tag"))

        assert renaming.code("items = create_item(Item)") == "item_tags = create_item_tag(ItemTag)"

    def test_articles(self) -> None:
        renaming = Renaming(ITEMS, Names("products", "product"))

        assert renaming.prose("An item, and an item.") == "A product, and a product."


@pytest.mark.parametrize(
    ("name", "singular", "said"),
    [
        ("items", None, "There is items already"),
        ("config", None, "There is config already"),
        ("Invoices", None, "is no name for a domain"),
        ("2d", None, "is no name for a domain"),
        ("a" * 41, None, "is no name for a domain"),
        ("classes", "class", "is a word of Python"),
        ("quokka", None, "several things: quokkas"),
        ("news", None, "--singular"),
        ("pages", None, "has a meaning in the code already"),
    ],
)
def test_names_that_are_not_possible(name: str, singular: str | None, said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        build.choose_names(name, singular, {"page", "Page"})


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("invoices", "invoice"),
        ("categories", "category"),
        ("people", "person"),
        ("order_lines", "order_line"),
    ],
)
def test_singular(plural: str, singular: str) -> None:
    assert build.singular_of(plural) == singular


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["price"], "Say what price holds"),
        (["price:money"], "'money' is no type"),
        (["Price:str"], "cannot name a field"),
        (["class:str"], "cannot name a field"),
        (["id:int"], "every record"),
        (["quokka:str"], "every record"),
        (["a:str", "a:int"], "two fields called a"),
        (["x" * 61 + ":str"], "longer than 60"),
        (["from_:ref[nobodies]"], "no domain nobodies"),
    ],
)
def test_fields_that_are_not_possible(given: list[str], said: str) -> None:
    with pytest.raises(FieldError, match=said):
        fields.parse(given, project.domain_names, {"quokkas", "quokka"})


def test_reference_is_an_id() -> None:
    [field] = fields.parse(["parent:ref[items]"], project.domain_names, set())

    assert (field.name, field.label, field.refers_to) == ("parent_id", "parent", ITEMS)


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    old, new = tmp_path / "old.py", tmp_path / "domain/new.py"
    old.write_text("before")

    def work() -> None:
        with build.all_or_nothing([old, new]) as write:
            write(old, "after")
            write(new, "after")
            raise FeatureError("no")

    with pytest.raises(FeatureError):
        work()

    assert old.read_text() == "before"
    assert not new.parent.exists()


def test_what_was_not_made_here_is_not_removed() -> None:
    with pytest.raises(FeatureError, match="did not make items here"):
        build.made_here("items")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, which is not tried out."""
    root = Path.cwd()
    for name in ("src", "tests", "docs", "mkdocs.yml", "pyproject.toml"):
        if (root / name).is_dir():
            shutil.copytree(root / name, tmp_path / name)
        elif (root / name).exists():
            shutil.copy(root / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "try_out", lambda: None)
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in paths
        if not {".dev", "__pycache__", ".ruff_cache"} & set(path.parts)
    }


def test_made_and_removed(copy: Path) -> None:
    before = contents(copy)
    followed: list[list[str]] = []
    given = ["price:decimal", "paid:bool", "note:text", "due:date", "item:ref[items]"]

    build.make("quokkas", given, "items", None, [followed.append])
    made = contents(copy)
    build.unmake(build.made_here("quokkas"), [followed.append])

    schemas = made["src/app/quokkas/schemas.py"]
    assert 'price: Amount = Field(description="Its price.", examples=["19.90"])' in schemas
    assert 'item_id: UUID | None = Field(None, description="Its new item.")' in schemas
    assert "title" not in schemas
    assert "quokkas_router" in made["src/app/main.py"]
    factories = made["tests/quokkas/factories.py"]
    assert '(await create_item(client))["id"]' in factories
    assert "from tests.items.factories import create_item" in factories
    assert followed == [[], ["drops the table quokkas"]]
    assert contents(copy) == before


def test_what_cannot_follow_undoes_all(copy: Path) -> None:
    before = contents(copy)

    def refuse(_agreed: list[str]) -> None:
        raise PlainError("The database refuses the migration")

    with pytest.raises(PlainError):
        build.make("quokkas", [], "items", None, [refuse])

    assert contents(copy) == before


def test_like_another(copy: Path) -> None:
    build.make("quokkas", ["price:decimal"], "items", None, [])
    build.make("wombats", [], "quokkas", None, [])

    assert "price: Amount" in contents(copy)["src/app/wombats/schemas.py"]
    with pytest.raises(FeatureError, match="no domain nothing to go by"):
        build.make("parcels", [], "nothing", None, [])
