from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.kit.problems import Problem, install, raises


class TeapotBusy(Problem):
    """It is short and stout."""

    status = HTTPStatus.IM_A_TEAPOT


@raises(TeapotBusy)
async def valid_pot(pot: int) -> int:
    if pot:
        raise TeapotBusy
    return pot


def tea_app() -> FastAPI:
    app = FastAPI()
    install(app)
    router = APIRouter()

    @router.get("/tea/{pot}")
    async def pour(pot: Annotated[int, Depends(valid_pot)]) -> int:
        return pot

    app.include_router(router, prefix="/api")
    return app


async def test_what_a_dependency_raises_is_answered() -> None:
    transport = ASGITransport(tea_app())
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/api/tea/1")

    assert response.status_code == 418
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:problem-type:teapot-busy",
        "title": "Teapot busy",
        "status": 418,
        "detail": "It is short and stout.",
    }


def test_what_a_dependency_raises_is_declared() -> None:
    responses = tea_app().openapi()["paths"]["/api/tea/{pot}"]["get"]["responses"]

    assert responses["418"]["description"] == "It is short and stout."
    assert list(responses["418"]["content"]) == ["application/problem+json"]


async def test_invalid_parts_are_named_but_not_repeated() -> None:
    transport = ASGITransport(tea_app())
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/api/tea/secret-thing")

    assert response.status_code == 422
    assert response.json()["errors"] == [
        {
            "location": "path",
            "pointer": "/pot",
            "code": "int_parsing",
            "detail": "Input should be a valid integer, unable to parse string as an integer",
        }
    ]
    assert "secret-thing" not in response.text
