from pathlib import Path

import pytest
from fastship_tooling.feature import create, read
from fastship_tooling.feature.names import Names
from fastship_tooling.feature.project import FeatureError
from fastship_tooling.leftovers import describe_leftovers
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE

from tests.tooling.conftest import Git, read_files

ROWS = "models.py" if HAS_DATABASE else "store.py"
PARCELS = Names("parcels", "parcel")
needs_database = pytest.mark.skipif(not HAS_DATABASE, reason="the project has no database")
needs_accounts = pytest.mark.skipif(not HAS_AUTH, reason="the project has no accounts")


def new(*fields: str, **options: bool) -> tuple[list[str], list[str]]:
    create.create("parcels", list(fields), **options)
    return read.arguments_of(PARCELS)


@pytest.mark.usefixtures("project")
class TestArguments:
    def test_types(self) -> None:
        fields = [
            *("name:str", "note:text?", "count:int", "size:float", "price:decimal", "paid:bool"),
            *("due:date", "sent_at:datetime?", "code:uuid", "status:enum[draft,sent-out]"),
            *("item:ref[items]", "gift_item:ref[items]?"),
        ]

        assert new(*fields) == (fields, [])

    def test_defaults(self) -> None:
        fields = [
            *("name:str=a b", "note:text=", "count:int=-3", "size:float=1.5", "price:decimal=9.90"),
            *("paid:bool=true", "status:enum[draft,sent-out]=sent-out"),
        ]

        assert new(*fields)[0] == fields

    def test_lists(self) -> None:
        fields = [
            "total:decimal:filter,sort=0.00",
            "status:enum[a,b]:filter=a",
            "item:ref[items]:filter",
        ]

        assert new(*fields)[0] == fields

    def test_names_of_types(self) -> None:
        fields = ["date:date", "datetime:datetime?:filter"]

        assert new(*fields)[0] == fields

    @needs_database
    def test_constraints(self) -> None:
        fields = ["number:str:unique", "name:str", "items:many[items]"]

        assert new(*fields)[0] == fields

    @needs_accounts
    @pytest.mark.parametrize(
        "options", [{}, {"public": True}, {"superuser": True}, {"public": True, "superuser": True}]
    )
    def test_access(self, options: dict[str, bool]) -> None:
        assert new("author:ref[users]", **options)[1] == [f"--{name}" for name in options]

    @needs_accounts
    def test_missing_features(self, monkeypatch: pytest.MonkeyPatch) -> None:
        new("author:ref[users]", "number:str:unique,filter", "items:many[items]", public=True)
        Path("src/app/auth/models.py").unlink()
        for feature in ("HAS_AUTH", "HAS_DATABASE"):
            monkeypatch.setattr(read, feature, False)

        assert read.arguments_of(PARCELS) == (["number:str:filter"], [])

    def test_edited_fields(self) -> None:
        new("title:str")
        path = Path("src/app/parcels", ROWS)
        old = "    title: Mapped[str]" if HAS_DATABASE else "    title: str\n"
        added = [("paid_on", "date | None"), ("color", "Color")]
        lines = [
            f"    {name}: {f'Mapped[{type_}]' if HAS_DATABASE else type_}\n"
            for name, type_ in added
        ]
        path.write_text(path.read_text().replace(old, "".join(lines) + old))

        assert read.arguments_of(PARCELS)[0] == ["paid_on:date?", "color:TYPE", "title:str"]
        assert "'paid_on:date?' color:TYPE title:str --again" in read.command_of(PARCELS)


def test_order(project: Path) -> None:
    for name, field in {"parcels": "title:str", "boxes": "parcel:ref[parcels]"}.items():
        create.create(name, [field])
    Path("src/app/kit/conditions.py").unlink()

    leftovers = describe_leftovers()

    assert leftovers
    commands = [line for line in leftovers.advice.splitlines() if "--again" in line]
    # A referenced domain comes first.
    assert [line.partition("feature ")[2] for line in commands] == [
        "new parcels title:str --again",
        "new boxes 'parcel:ref[parcels]' --again",
    ]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("schemas.py", "<<<<<<< before updating\n"),
        (ROWS, "import app.gone\n"),
    ],
)
def test_broken_code(project: Path, file: str, text: str) -> None:
    create.create("parcels", ["title:str"])
    Path("src/app/parcels", file).write_text(text)
    Path("src/app/kit/conditions.py").unlink()

    leftovers = describe_leftovers()

    assert leftovers
    assert "src/app/parcels/dependencies.py: app.kit.conditions" in leftovers.problem
    assert "--again" not in leftovers.advice


class TestAgain:
    @pytest.fixture(autouse=True)
    def committed(self, project: Path, git: Git) -> None:
        new("number:str", "status:enum[draft,sent]:filter=draft", "due:date?")
        git("init")
        git("add", "-A")
        git("commit", "-m", "feat: add parcels")

    def test_same_code(self, project: Path) -> None:
        before = read_files(project)

        create.create_again("parcels", [])

        assert read_files(project) == before

    def test_unknown_type(self, git: Git) -> None:
        path = Path("src/app/parcels/schemas.py")
        path.write_text(path.read_text().replace("number: Line =", "number: Slug | None ="))
        git("commit", "-am", "feat: add slugs")

        with pytest.raises(FeatureError, match="type of these fields is unknown: number:TYPE\\?"):
            create.create_again("parcels", [])
