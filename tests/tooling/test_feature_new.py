import re
from pathlib import Path

import pytest
from fastship_tooling.feature import create
from fastship_tooling.feature.names import Names
from fastship_tooling.feature.project import FeatureError
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, HAS_DOCS
from typer.testing import CliRunner

from app.cli.console import CLIError
from app.cli.main import app
from tests.tooling.conftest import Git, read_files

runner = CliRunner()

FIELDS = ["price:decimal=0", "paid:bool=false", "note:text?", "due:date", "item:ref[items]"]
ROWS = "models.py" if HAS_DATABASE else "store.py"


def new(name: str, *fields: str, pattern: str | None = None) -> list[Path]:
    return create.create(name, list(fields), pattern=pattern, singular=None)


class TestChooseNames:
    @pytest.mark.parametrize(
        ("name", "singular", "message"),
        [
            ("items", None, "items already exists in "),
            ("config", None, "config already exists in "),
            ("conftest", None, "conftest already exists in "),
            ("Invoices", None, "'Invoices' is not a valid domain name"),
            ("../invoices", None, "'../invoices' is not a valid domain name"),
            ("2d", None, "'2d' is not a valid domain name"),
            ("order__lines", None, "'order__lines' is not a valid domain name"),
            ("a" * 41, None, "is not a valid domain name"),
            ("parcels", "Parcel", "'Parcel' is not a valid domain name"),
            ("classes", None, "class is a keyword of Python"),
            ("types", "type", "type is a keyword of Python"),
            ("parcel", None, "parcel is not a plural. Did you mean parcels?"),
            ("order_line", None, "Did you mean order_lines?"),
            ("pages", None, "the code of a domain already uses the name pages"),
            (
                "schemas",
                None,
                "already uses the name schemas. Choose another name, such as schema_en",
            ),
            (
                "dates",
                None,
                "already uses the name date. Pass another singular, such as --singular date_e",
            ),
            ("parameters", None, "the code of a domain already uses the name parameter"),
            ("fields", None, "the code of a domain already uses the name"),
            ("news", None, "Plural and singular must differ. Pass --singular NAME"),
            ("parcels", "parcels", "Plural and singular must differ."),
        ],
    )
    def test_invalid_name(self, name: str, singular: str | None, message: str) -> None:
        with pytest.raises(FeatureError) as caught:
            create.choose_names(name, singular)

        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("plural", "singular"),
        [
            ("invoices", "invoice"),
            ("categories", "category"),
            ("tags", "tag"),
            ("posts", "post"),
            ("events", "event"),
            ("people", "person"),
            ("order_lines", "order_line"),
        ],
    )
    def test_derived_singular(self, plural: str, singular: str) -> None:
        assert create.choose_names(plural, None) == Names(plural, singular)

    def test_given_singular(self) -> None:
        assert create.choose_names("news", "article") == Names("news", "article")
        assert create.choose_names("dates", "date_entry") == Names("dates", "date_entry")

    def test_attributes_do_not_conflict(self) -> None:
        assert "items" not in create.identifiers()  # `changes.items()`

    def test_folder_that_git_has_left(self, project: Path) -> None:
        caches = project / "src/app/things/__pycache__"
        caches.mkdir(parents=True)
        (caches / "models.cpython-313.pyc").touch()

        assert create.choose_names("things", None).plural == "things"

        (project / "src/app/things/page.html").touch()
        with pytest.raises(FeatureError, match="things already exists"):
            create.choose_names("things", None)

    def test_existing_table(self, project: Path) -> None:
        models = project / "src/app/items/models.py"
        table = 'class Box(Entity):\n    __tablename__ = "boxes"\n'
        models.write_text(models.read_text() + table if models.exists() else table)

        with pytest.raises(FeatureError, match="The table boxes already exists"):
            create.choose_names("boxes", None)


class TestNew:
    def test_files(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        confirmed: list[list[str]] = []
        monkeypatch.setattr(create, "sync_schema", confirmed.append)
        before = read_files(project)

        created = {path.as_posix() for path in new("parcels", *FIELDS)}

        after = read_files(project)
        assert {path for path in after if before.get(path) != after[path]} == created
        assert {f"src/app/parcels/{ROWS}", "tests/parcels/test_router.py"} <= created
        assert ("docs/api/parcels.md" in created) is HAS_DOCS
        assert "<<" not in "".join(after[path] for path in created)
        assert confirmed == [[]]

    def test_code(self, project: Path) -> None:
        new("parcels", *FIELDS)

        code = read_files(project)
        schemas = code["src/app/parcels/schemas.py"]
        assert 'price: Money = Field(Decimal("0.00"), description="Price."' in schemas
        assert 'note: Text | None = Field(None, description="Note."' in schemas
        assert 'item_id: UUID = Field(\n        description="ID of the item."' in schemas
        assert "title" not in schemas
        rows = code[f"src/app/parcels/{ROWS}"]
        expected = "note: Mapped[str | None]" if HAS_DATABASE else "note: str | None"
        assert expected in rows
        factories = code["tests/parcels/factories.py"]
        assert 'REQUIRED: list[str] = ["due", "item_id"]' in factories
        assert '"item_id": (await create_item(client))["id"]' in factories
        assert "from tests.items.factories import create_item" in factories

    def test_shared_files(self, project: Path) -> None:
        new("order_lines")

        code = read_files(project)
        domains = code["src/app/domains.py"]
        assert "from app.order_lines.router import router as order_lines_router\n" in domains
        assert "    items_router,\n    order_lines_router,\n]" in domains
        assert (
            '    {"name": "order_lines", "description": "Create, read, update and delete order lines."},\n]'
            in domains
        )

    def test_default_field(self, project: Path) -> None:
        new("parcels")

        schemas = read_files(project)["src/app/parcels/schemas.py"]
        assert 'title: Line = Field(description="Title.", examples=["First"])' in schemas

    @pytest.mark.skipif(not HAS_DOCS, reason="the project has no documentation site")
    def test_existing_file(self, project: Path) -> None:
        (project / "docs/api/parcels.md").touch()
        before = read_files(project)

        with pytest.raises(FeatureError, match=r"parcels\.md already exists"):
            new("parcels")

        assert read_files(project) == before

    def test_rejected_migration(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = read_files(project)

        def refuse(_confirmed: list[str]) -> None:
            raise CLIError("PostgreSQL rejected the migration")

        monkeypatch.setattr(create, "sync_schema", refuse)
        with pytest.raises(CLIError, match="PostgreSQL"):
            new("parcels")

        assert read_files(project) == before

    def test_command(self, project: Path) -> None:
        result = runner.invoke(app, ["feature", "new", "parcels", "price:decimal", "due:date?"])

        assert result.exit_code == 0, result.output
        assert "  src/app/parcels/schemas.py" in result.stdout
        assert "Created the domain parcels: /api/v1/parcels" in result.stdout

    def test_invalid_command(self, project: Path) -> None:
        before = read_files(project)

        result = runner.invoke(app, ["feature", "new", "parcels", "price:money"])

        assert result.exit_code == 1
        assert "The type 'money' of the field price does not exist." in result.stderr
        assert read_files(project) == before


@pytest.mark.skipif(not HAS_AUTH, reason="the project has no accounts")
class TestAccess:
    def test_public(self, project: Path) -> None:
        create.create("parcels", ["size:int:sort"], public=True)

        code = read_files(project)
        dependencies = code["src/app/parcels/dependencies.py"]
        assert "get_parcel_reader(reader: ReaderDep) ->" in dependencies
        assert "parcel: ValidParcel, parcels" in code["src/app/parcels/router.py"]
        # Lists contain the records of all users.
        assert 'Index(None, "size", "id")' in code["src/app/parcels/models.py"]

    @pytest.mark.parametrize("public", [True, False])
    def test_superuser(self, project: Path, public: bool) -> None:
        create.create("parcels", [], public=public, superuser=True)
        create.create("boxes", ["parcel:ref[parcels]"])

        code = read_files(project)
        dependencies = code["src/app/parcels/dependencies.py"]
        assert "_superuser: Superuser" in dependencies
        assert ("get_parcel_reader(reader: ReaderDep) ->" in dependencies) is public
        assert "owner_id" not in code["src/app/parcels/models.py"]
        assert "tests/parcels/test_access.py" in code
        assert "tests/parcels/test_ownership.py" not in code
        # Only superusers can create what a box references.
        assert "is_superuser=True" in code["tests/boxes/conftest.py"]

    def test_like(self, project: Path) -> None:
        with pytest.raises(FeatureError, match="With --like, the copy has the access"):
            create.create("parcels", [], pattern="items", public=True)


@pytest.mark.skipif(HAS_AUTH, reason="the project has accounts")
def test_access_without_accounts(project: Path) -> None:
    with pytest.raises(FeatureError, match="need accounts"):
        create.create("parcels", [], public=True)


class TestNewLike:
    @pytest.mark.parametrize(
        ("specification", "message"),
        [
            (
                "size:int:filter,sort",
                "the field size cannot have filter and sort: items has no code and tests for it",
            ),
            ("date:date", "no field can be called date or datetime"),
        ],
    )
    def test_special_field(self, project: Path, specification: str, message: str) -> None:
        with pytest.raises(CLIError, match=message):
            new("parcels", specification, pattern="items")

    def test_sorted_text(self, project: Path) -> None:
        new("boxes", "label:str:sort")

        # A stored value may be empty, or end with spaces, which the type of requests would refuse or remove.
        schemas = read_files(project)["src/app/boxes/schemas.py"]
        assert 'SORTS: ClassVar[dict[str, Any]] = {"label": Text}' in schemas

    def test_special_pattern(self, project: Path) -> None:
        new("boxes", "size:int:sort")

        with pytest.raises(CLIError, match="boxes has filters or an order, which depend on its fi"):
            new("parcels", "price:decimal", pattern="boxes")

    @pytest.mark.skipif(not HAS_AUTH, reason="the project has no accounts")
    def test_optional_user(self, project: Path) -> None:
        new("boxes", "packer:ref[users]?")

        with pytest.raises(CLIError, match="boxes has optional references to users"):
            new("parcels", "price:decimal", pattern="boxes")
        with pytest.raises(CLIError, match=r"the field packer_id cannot have ref\[users\]\?"):
            new("parcels", "packer:ref[users]?", pattern="items")

    def test_optional_field(self, project: Path) -> None:
        new("boxes", "note:text?")

        new("parcels", "due:date?", "size:int", pattern="boxes")

        assert 'OPTIONAL: list[str] = ["due"]' in read_files(project)["tests/parcels/factories.py"]

    def test_enum(self, project: Path) -> None:
        new("boxes", "size:enum[small,big]=big")

        new("parcels", "kind:enum[new,old]", pattern="boxes")
        new("crates", "price:decimal", pattern="boxes")

        code = read_files(project)
        assert "class ParcelKind(StrEnum):" in code["src/app/parcels/enums.py"]
        assert "from app.parcels.enums import ParcelKind" in code["src/app/parcels/schemas.py"]
        assert "src/app/crates/enums.py" not in code

    def test_copy(self, project: Path) -> None:
        new("parcels", "price:decimal")

        new("boxes", pattern="parcels")

        code = read_files(project)
        schemas = code["src/app/boxes/schemas.py"]
        assert "class BoxCreate(RequestModel):" in schemas
        assert "price: Money" in schemas
        assert not re.search("parcel", schemas, re.IGNORECASE)
        assert "from app.boxes.router import router as boxes_router" in code["src/app/domains.py"]

    def test_added_code(self, project: Path) -> None:
        service = project / f"src/app/items/{'service' if HAS_DATABASE else 'store'}.py"
        method = '\n    async def archive_item(self) -> str:\n        return "an item"\n'
        service.write_text(service.read_text() + method)

        new("parcels", pattern="items")

        copy = read_files(project)[f"src/app/parcels/{service.name}"]
        assert copy.endswith('async def archive_parcel(self) -> str:\n        return "a parcel"\n')

    def test_other_fields(self, project: Path) -> None:
        new("parcels", *FIELDS, pattern="items")

        code = read_files(project)
        schemas = code["src/app/parcels/schemas.py"]
        assert 'price: Money = Field(Decimal("0.00"), description="Price."' in schemas
        assert "title" not in schemas
        assert "price: " in code[f"src/app/parcels/{ROWS}"]
        assert "title" not in code[f"src/app/parcels/{ROWS}"]
        factories = code["tests/parcels/factories.py"]
        assert 'REQUIRED: list[str] = ["due", "item_id"]' in factories
        assert "from tests.items.factories import create_item" in factories

    def test_command(self, project: Path) -> None:
        result = runner.invoke(app, ["feature", "new", "parcels", "--like", "items"])

        assert result.exit_code == 0, result.output
        assert (project / "src/app/parcels/router.py").exists()

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("missing", "There is no domain missing in "),
            ("kit", "kit is a part of the application, but not a domain"),
            ("health", "health is a part of the application, but not a domain"),
        ],
    )
    def test_unknown_pattern(self, project: Path, pattern: str, message: str) -> None:
        with pytest.raises(FeatureError, match=message):
            new("parcels", pattern=pattern)

    @pytest.mark.parametrize(
        ("file", "old", "message"),
        [
            ("src/app/items/schemas.py", "class ItemCreate", "no class that ends with Create"),
            (
                "tests/items/factories.py",
                "CHANGES",
                "needs CHANGES, REQUIRED, INVALID and parcel_b",
            ),
        ],
    )
    def test_unusual_pattern(self, project: Path, file: str, old: str, message: str) -> None:
        (project / file).write_text((project / file).read_text().replace(old, f"{old}X"))
        before = read_files(project)

        with pytest.raises(CLIError, match=message):
            new("parcels", "price:decimal", pattern="items")

        assert read_files(project) == before


class TestAgain:
    @pytest.fixture(autouse=True)
    def committed(self, project: Path, git: Git) -> None:
        new("parcels", "note:text?")
        if not HAS_DATABASE:
            (project / "tests/parcels/test_retries.py").touch()
        (project / "tests/parcels/test_mine.py").touch()
        git("init")
        git("add", "-A")
        git("commit", "-m", "feat: add parcels")

    def test_changed_features(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fastship_tooling.feature.render.HAS_DATABASE", False)
        monkeypatch.setattr("fastship_tooling.feature.render.HAS_AUTH", False)
        before = read_files(project)

        written = create.create_again("parcels", ["note:text?", "due:date"])

        after = read_files(project)
        assert "due: date" in after["src/app/parcels/store.py"]
        assert "CurrentUser" not in after["src/app/parcels/dependencies.py"]
        for obsolete in ("src/app/parcels/models.py", "tests/parcels/test_ownership.py"):
            assert obsolete not in after
        assert Path("tests/parcels/test_retries.py") in written
        assert "tests/parcels/test_mine.py" in after
        for kept in ("src/app/domains.py", "docs/api/parcels.md"):
            assert after.get(kept) == before.get(kept)

    def test_uncommitted_edits(self, project: Path) -> None:
        (project / "src/app/parcels/router.py").write_text("# mine")

        with pytest.raises(FeatureError, match="Commit src/app/parcels and tests/parcels first"):
            create.create_again("parcels", ["note:text?"])

        assert (project / "src/app/parcels/router.py").read_text() == "# mine"

    def test_other_domain_is_broken(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # The application cannot be created until the code of all domains was written again.
        monkeypatch.setattr(create, "check_application", lambda: pytest.fail("it is broken"))
        (project / "src/app/items/router.py").write_text("import app.gone")

        create.create_again("parcels", ["note:text?"])

    def test_options(self) -> None:
        result = runner.invoke(app, ["feature", "new", "parcels", "--again", "--like", "items"])

        assert result.exit_code == 1
        assert "Omit --like and --singular" in result.stderr


def test_help() -> None:
    result = runner.invoke(app, ["feature", "new", "--help"])

    assert "'status:enum[draft,paid]:filter=draft'" in " ".join(result.stdout.split())
