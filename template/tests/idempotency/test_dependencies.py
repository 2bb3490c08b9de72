from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from pydantic import BaseModel
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import SessionFactory
from app.idempotency.dependencies import OnceDep
from app.idempotency.models import StoredResponse
from app.idempotency.service import LIFETIME, Once, RequestInProgress
from app.jobs.cleanup import delete_expired
from app.kit.jobs import JobContext
from app.kit.problems import add_problem_handlers


class Data(BaseModel):
    name: str


class Thing(BaseModel):
    name: str
    number: int


@pytest.fixture
async def things(app: FastAPI, client: AsyncClient) -> AsyncIterator[AsyncClient]:
    """Return a client of an application with one endpoint, which counts the things it creates."""
    things = FastAPI()
    things.state = app.state
    add_problem_handlers(things)
    numbers = count(1)

    async def create(data: Data) -> Thing:
        return Thing(name=data.name, number=next(numbers))

    @things.post("/{folder}/things", status_code=201, operation_id="create_thing")
    async def create_thing(folder: str, data: Data, once: OnceDep) -> Thing:
        return await once(create, data)

    transport = ASGITransport(things)
    async with AsyncClient(
        transport=transport, base_url="http://test", headers=client.headers
    ) as client_of_things:
        yield client_of_things


async def post(client: AsyncClient, name: str = "a", folder: str = "one") -> Response:
    key = {"idempotency-key": "1"}
    return await client.post(f"/{folder}/things", json={"name": name}, headers=key)


async def expire(session: AsyncSession) -> None:
    expired = StoredResponse.created_at - LIFETIME - timedelta(seconds=1)
    await session.execute(update(StoredResponse).values(created_at=expired))


async def test_repeated_request(things: AsyncClient) -> None:
    first, second = await post(things), await post(things)

    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.content, second.content) == (b'{"name":"a","number":1}',) * 2
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["content-type"] == first.headers["content-type"]


async def test_other_body(things: AsyncClient) -> None:
    await post(things)

    response = await post(things, name="b")

    assert response.status_code == 422
    assert response.json()["type"] == "urn:problem-type:idempotency-key-reused"


async def test_other_path(things: AsyncClient) -> None:
    await post(things)

    assert (await post(things, folder="two")).json()["number"] == 2


async def test_without_key(things: AsyncClient) -> None:
    answers = [await things.post("/one/things", json={"name": "a"}) for _ in range(2)]

    assert [answer.json()["number"] for answer in answers] == [1, 2]


async def test_expired_key(things: AsyncClient, session: AsyncSession) -> None:
    await post(things)
    await expire(session)

    answers = [await post(things, name="b") for _ in range(2)]

    assert [answer.json()["number"] for answer in answers] == [2, 2]


async def test_expired_keys_are_deleted(
    app: FastAPI, things: AsyncClient, session: AsyncSession
) -> None:
    await post(things)
    await expire(session)
    await post(things, folder="two")

    await delete_expired(JobContext(session, app.state.settings, "1"))

    assert (await post(things)).json()["number"] == 3
    assert (await post(things, folder="two")).json()["number"] == 2


async def test_request_in_progress(session_factory: SessionFactory) -> None:
    data = Data(name="a")

    async with session_factory() as first, session_factory() as second:

        async def create(data: Data) -> Thing:
            with pytest.raises(RequestInProgress):
                await Once(second, "1", "things")(create, data)
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await Once(first, "1", "things")(create, data)
