"""`/docs` and `/redoc`, with assets from a package instead of a CDN."""

from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"
# The pages contain inline scripts and start workers. Redoc would load a logo from its vendor.
POLICY = "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": POLICY}
HTML = b'<html lang="en">'
# Some of the colors of Swagger UI are too light to read, and it does not follow the scheme of the system.
HEAD = b"""<style>
#swagger-ui .opblock-summary-method { background: #37474f; color: #fff; text-shadow: none; }
#swagger-ui .info .title small { background: #3b4151; }
#swagger-ui .info .title small pre { color: #fff; }
html:not(.dark-mode) #swagger-ui :is(.url, .authorize, .authorize span) { color: #2f46a8; }
html:not(.dark-mode) #swagger-ui .json-schema-2020-12-expand-deep-button { color: #2f46a8; }
</style>
<script>
document.documentElement.classList.toggle("dark-mode", matchMedia("(prefers-color-scheme: dark)").matches);
</script></head>"""


def add_api_docs(app: FastAPI) -> None:
    """Add the interactive API pages to `app`."""
    assets = StaticFiles(directory=str(files("fastapi_offline") / "static"))
    app.mount(ASSETS, assets, name="docs-assets")

    # root_path is the prefix that a reverse proxy removes.
    @app.get("/docs", include_in_schema=False)
    async def swagger_ui(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
            swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
        )
        content = bytes(page.body).replace(b"</head>", HEAD).replace(b"<html>", HTML)
        return HTMLResponse(content, headers=HEADERS)

    @app.get("/redoc", include_in_schema=False)
    async def redoc(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        page = get_redoc_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            redoc_js_url=f"{root}{ASSETS}/redoc.standalone.js",
            redoc_favicon_url=f"{root}{ASSETS}/favicon.png",
            with_google_fonts=False,
        )
        return HTMLResponse(bytes(page.body).replace(b"<html>", HTML), headers=HEADERS)
