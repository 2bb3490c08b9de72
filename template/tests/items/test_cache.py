import pytest
from httpx2 import AsyncClient

from app.items.service import ItemService
from tests.items.factories import CHANGE, create_item

ITEMS = "/api/v1/items"


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was looked up at the source."""
    seen: list[object] = []
    find = ItemService.find

    async def noting(self: ItemService, item_id: object) -> object:
        seen.append(item_id)
        return await find(self, item_id)  # type: ignore[arg-type]

    monkeypatch.setattr(ItemService, "find", noting)
    return seen


async def test_second_read_is_from_the_cache(client: AsyncClient, lookups: list[object]) -> None:
    item = await create_item(client)

    reads = [(await client.get(f"{ITEMS}/{item['id']}")).json() for _ in range(3)]

    assert reads == [item] * 3
    assert len(lookups) == 1


async def test_update_is_seen_at_once(client: AsyncClient) -> None:
    item = await create_item(client)
    await client.get(f"{ITEMS}/{item['id']}")

    await client.patch(f"{ITEMS}/{item['id']}", json=CHANGE)

    read = (await client.get(f"{ITEMS}/{item['id']}")).json()
    assert read.items() >= CHANGE.items()


async def test_deleted_item_is_gone(client: AsyncClient) -> None:
    item = await create_item(client)
    await client.get(f"{ITEMS}/{item['id']}")

    await client.delete(f"{ITEMS}/{item['id']}")

    assert (await client.get(f"{ITEMS}/{item['id']}")).status_code == 404
