from pathlib import Path

import pytest
from fastship_tooling.feature import project as domains
from fastship_tooling.feature.names import Names
from fastship_tooling.feature.project import FeatureError
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE

from app.cli.console import CLIError
from app.config import Settings

ITEMS = Names("items", "item")


class TestFindDomain:
    def test_domain(self) -> None:
        assert domains.find_domain("items") == ITEMS
        assert domains.get_domain("items") == ITEMS

    @pytest.mark.parametrize("name", ["parcels", "kit", "health", "config"])
    def test_unknown_domain(self, name: str) -> None:
        assert domains.find_domain(name) is None

    def test_domain_in_memory(self, project: Path) -> None:
        code = "class Trap: ...\nclass Mouse: ...\nclass MouseStore: ...\n"
        (project / "src/app/mice").mkdir()
        (project / "src/app/mice/store.py").write_text(code)

        assert domains.find_domain("mice") == Names("mice", "mouse")

    def test_domain_with_links(self, project: Path) -> None:
        code = (
            'class OrderTag(Base):\n    __tablename__ = "order_tags"\n\n\n'
            'class Order(Entity):\n    __tablename__ = "orders"\n'
        )
        (project / "src/app/orders").mkdir()
        (project / "src/app/orders/models.py").write_text(code)

        assert domains.find_domain("orders") == Names("orders", "order")

    def test_table_of_another_domain(self, project: Path) -> None:
        (project / "src/app/billing").mkdir()
        code = 'class CreditNote(Entity):\n    """Text."""\n    __tablename__ = "credit_notes"\n'
        (project / "src/app/billing/models.py").write_text(code)

        assert domains.find_domain("credit_notes") == Names("credit_notes", "credit_note")
        with pytest.raises(FeatureError, match="There is no domain credit_notes"):
            domains.get_domain("credit_notes")

    @pytest.mark.skipif(not (HAS_AUTH and HAS_DATABASE), reason="the project has no accounts")
    def test_users(self) -> None:
        assert domains.find_domain("users") == Names("users", "user")


class TestDependents:
    @pytest.mark.parametrize(
        ("file", "code", "depends"),
        [
            ("src/app/parcels/models.py", 'ForeignKey("items.id")', True),
            ("src/app/parcels/service.py", "from app.items import models", True),
            ("src/app/parcels/service.py", "    from app.items.models import Item", True),
            ("tests/parcels/factories.py", "import tests.items.factories", True),
            ("src/app/parcels/service.py", "from app.items_archive import models", False),
            ("src/app/parcels/service.py", "for name, value in mapping.items(): ...", False),
            ("src/app/items/service.py", "from app.items import models", False),
            ("src/app/migrations/versions/0002.py", 'ForeignKey("items.id")', False),
        ],
    )
    def test_code(self, folder: Path, file: str, code: str, depends: bool) -> None:
        for package in ("src/app", "tests"):
            (folder / package).mkdir(parents=True)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"{code}\n")

        assert domains.dependents_of(ITEMS) == ([Path(file)] if depends else [])

    def test_shared_files(self, project: Path) -> None:
        # domains.py and tests/seeds.py mention the domain, and are edited.
        assert domains.dependents_of(ITEMS) == []


def test_mentions(folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "README.md").write_text("List the order lines.")
    (folder / "docs/one.md").write_text("GET /api/v1/order-lines")
    (folder / "docs/two.md").write_text("Preorder linesmen.")

    mentions = domains.mentions_of(Names("order_lines", "order_line"))

    assert mentions == [Path("README.md"), Path("docs/one.md")]


class TestMount:
    PARCELS = Names("parcels", "parcel")

    @pytest.mark.parametrize("name", ["ROUTERS", "TAGS"])
    def test_missing_list(self, project: Path, name: str) -> None:
        text = domains.DOMAINS.read_text()
        domains.DOMAINS.write_text(text.replace(f"{name}:", "OTHER:"))

        with pytest.raises(FeatureError, match=f"has no list {name}. `feature new` adds"):
            domains.mount(self.PARCELS)

    def test_no_other_domain(self, project: Path) -> None:
        before = domains.unmount(ITEMS)[domains.DOMAINS]
        domains.DOMAINS.write_text(before)

        text = domains.mount(self.PARCELS)[domains.DOMAINS]

        assert "ROUTERS: list[APIRouter] = [parcels_router,]" in text
        domains.DOMAINS.write_text(text)
        assert domains.unmount(self.PARCELS)[domains.DOMAINS] == before

    def test_edited_lists(self, project: Path) -> None:
        text = "ROUTERS = [  # mine\n    a,  # first\n    b\n]\nTAGS = [{'name': 'a'}]\n"
        domains.DOMAINS.write_text(text)

        mounted = domains.mount(self.PARCELS)[domains.DOMAINS]

        assert "ROUTERS = [  # mine\n    a,  # first\n    b, parcels_router\n]" in mounted
        assert "TAGS = [{'name': 'a'}, {\"name\": \"parcels\"," in mounted
        domains.DOMAINS.write_text(mounted)
        assert (
            "ROUTERS = [a, b,]\nTAGS = [{'name': 'a'},]"
            in domains.unmount(self.PARCELS)[domains.DOMAINS]
        )


@pytest.mark.skipif(not HAS_DATABASE, reason="the project has no database")
class TestSyncSchema:
    @pytest.fixture(autouse=True)
    def synced(self, monkeypatch: pytest.MonkeyPatch, database_url: str) -> list[object]:
        synced: list[object] = []
        monkeypatch.setenv("APP_ENVIRONMENT", "development")
        monkeypatch.setenv("DATABASE_URL", database_url)
        monkeypatch.setattr("fastship_tooling.schema_sync.sync.sync", lambda *a: synced.append(a))
        return synced

    def test_success(self, synced: list[object], database_url: str) -> None:
        domains.sync_schema(["drops the table items"])

        assert synced == [(database_url, ["drops the table items"])]

    def test_production(
        self, synced: list[object], settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app_settings = settings.app.model_copy(update={"environment": "production"})
        production = settings.model_copy(update={"app": app_settings})
        monkeypatch.setattr(
            "fastship_tooling.database.connection.load_settings", lambda: production
        )

        with pytest.raises(CLIError, match="`feature` is for development"):
            domains.sync_schema([])

        assert synced == []
