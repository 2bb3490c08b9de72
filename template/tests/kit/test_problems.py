from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel

from app.kit.openapi import extend_openapi
from app.kit.pagination import Page
from app.kit.problems import Problem, add_problem_handlers, raises


class Pot(BaseModel):
    pass


class TeapotBusy(Problem):
    """The teapot is in use."""

    status = HTTPStatus.IM_A_TEAPOT


@raises(TeapotBusy)
async def valid_pot(pot: int) -> int:
    if pot:
        raise TeapotBusy
    return pot


def tea_app() -> FastAPI:
    app = FastAPI()
    add_problem_handlers(app)
    extend_openapi(app)
    router = APIRouter()

    @router.get("/tea/{pot}")
    async def pour(pot: Annotated[int, Depends(valid_pot)]) -> int:
        return pot

    @router.get("/tea")
    async def list_pots() -> Page[Pot]:
        return Page(data=[], next_cursor=None)

    app.include_router(router, prefix="/api")
    return app


def client() -> AsyncClient:
    return AsyncClient(transport=ASGITransport(tea_app()), base_url="http://test")


async def test_response() -> None:
    response = await client().get("/api/tea/1")

    assert response.status_code == 418
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:problem-type:teapot-busy",
        "title": "Teapot busy",
        "status": 418,
        "detail": "The teapot is in use.",
    }


def test_schema() -> None:
    responses = tea_app().openapi()["paths"]["/api/tea/{pot}"]["get"]["responses"]

    assert responses["418"]["description"] == "The teapot is in use."
    assert list(responses["418"]["content"]) == ["application/problem+json"]


def test_names_of_models() -> None:
    schemas = tea_app().openapi()["components"]["schemas"]

    assert set(schemas) == {"InvalidParameter", "Pot", "PotPage", "Problem"}
    assert schemas["PotPage"]["title"] == "PotPage"


async def test_examples_are_real() -> None:
    schema = tea_app().openapi()
    responses = schema["paths"]["/api/tea/{pot}"]["get"]["responses"]
    content = responses["418"]["content"]["application/problem+json"]
    busy = schema["components"]["examples"]["TeapotBusy"]["value"]
    invalid = responses["422"]["content"]["application/problem+json"]["examples"]

    assert content["examples"] == {"TeapotBusy": {"$ref": "#/components/examples/TeapotBusy"}}
    assert busy.pop("request_id")
    assert busy == (await client().get("/api/tea/1")).json()
    example = invalid["InvalidRequest"]["value"]
    assert example.pop("request_id")
    assert example == (await client().get("/api/tea/x")).json()


async def test_invalid_parameter_without_its_value() -> None:
    response = await client().get("/api/tea/secret-thing")

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
