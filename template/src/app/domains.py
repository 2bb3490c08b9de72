"""The domains of the application. `feature new` adds to these lists, and updates of the template do not change them."""

from fastapi import APIRouter

from app.items.router import router as items_router

ROUTERS: list[APIRouter] = [
    items_router,
]
TAGS: list[dict[str, str]] = [
    {"name": "items", "description": "Create, read, update and delete items."},
]
