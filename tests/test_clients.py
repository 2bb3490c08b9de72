"""The generated clients, used against the running application."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import NODE, Project
from tests.running import dev
from tests.variants import BARE, FULL

full = pytest.mark.parametrize("variant", [FULL], ids=str)

IN_PYTHON = """
import sys
from acme_orders_client import AuthenticatedClient, Client
from acme_orders_client.api.auth import auth_create_token, auth_register
from acme_orders_client.api.items import items_create, items_list
from acme_orders_client.models import TokenRequest, ItemCreate, UserCreate

url = sys.argv[1]
anonymous = Client(base_url=url)
email, password = "python@example.com", "correct horse battery"
auth_register.sync(client=anonymous, body=UserCreate(email=email, password=password))
pair = auth_create_token.sync(
    client=anonymous, body=TokenRequest(username=email, password=password)
)
client = AuthenticatedClient(base_url=url, token=pair.access_token)
item = items_create.sync(client=client, body=ItemCreate(title="Buy milk"))
page = items_list.sync(client=client)
assert page.data == [item], page
print("python:", page.data[0].title)
"""
IN_TYPESCRIPT = """
import { authCreateToken, authRegister, itemsCreate, itemsList, type Item } from 'acme-orders-client';
import { client } from 'acme-orders-client/client.gen.js';

let token = '';
client.setConfig({ baseUrl: process.argv[2], auth: () => token });
const [email, password] = ['typescript@example.com', 'correct horse battery'];
await authRegister({ body: { email, password } });
const pair = await authCreateToken({ body: { username: email, password }, throwOnError: true });
token = pair.data.access_token;
await itemsCreate({ body: { title: 'Buy milk' }, throwOnError: true });
const page = await itemsList({ throwOnError: true });
const item: Item = page.data.data[0]!;
console.log('typescript:', item.title, token);
"""
WRONG = """
import { itemsCreate } from 'acme-orders-client';
await itemsCreate({ body: { titel: 'Buy milk' } });
"""
TSCONFIG = """{
  "compilerOptions": {
    "strict": true, "module": "NodeNext", "target": "ES2022", "outDir": "out",
    "lib": ["ES2022", "DOM", "DOM.Iterable"], "types": ["node"], "typeRoots": ["node_modules/@types"]
  },
  "include": ["INCLUDED"]
}
"""


@full
def test_generated_clients(fresh: Project, tmp_path: Path) -> None:
    output = fresh.uv_run("acme-orders", "client", "generate")
    assert "clients/python was updated." in output
    assert "clients/typescript was updated." in output
    # The project does not lint them.
    fresh.uv_run("ruff", "check", ".")

    tools = tmp_path / "tools"
    shutil.copytree(fresh.path / "clients", tools / "clients")
    packages = [NODE, "./clients/python"]
    (tools / "use.py").write_text(IN_PYTHON)
    (tools / "use.mts").write_text(IN_TYPESCRIPT)
    (tools / "wrong.mts").write_text(WRONG)
    npm = ["venv/bin/npm", "install", "--silent"]
    run(tools, fresh, "uv", "venv", "--quiet", "venv")
    run(tools, fresh, "uv", "pip", "install", "--quiet", "--python", "venv", *packages)
    run(tools, fresh, *npm, "./clients/typescript", "typescript@5.9.3", "@types/node@24")
    (tools / "samples").mkdir()
    for name, samples in fresh.samples().items():
        (tools / f"samples/{name}.mts").write_text(samples["typescript"])
    for name, included in {"use": "use.mts", "wrong": "wrong.mts", "samples": "samples/*"}.items():
        (tools / f"{name}.json").write_text(TSCONFIG.replace("INCLUDED", included))
    tsc = ["venv/bin/node", "node_modules/typescript/bin/tsc", "-p"]
    run(tools, fresh, *tsc, "use.json")
    run(tools, fresh, *tsc, "samples.json")
    with pytest.raises(AssertionError, match="'titel' does not exist"):
        run(tools, fresh, *tsc, "wrong.json")

    with dev(fresh) as app:
        python = run(tools, fresh, "venv/bin/python", "use.py", app.url)
        typescript, token = run(tools, fresh, "venv/bin/node", "out/use.mjs", app.url).rsplit(
            " ", 1
        )
        # The sample of the README, without a compiler.
        [sample] = re.findall(r"```js\n(.*?)```", (fresh.path / "README.md").read_text(), re.DOTALL)
        sample = sample.replace("http://127.0.0.1:8000", app.url)
        sample = f"const accessToken = '{token.strip()}';\n{sample}"
        sample += "console.log(error ?? data.data[0].title);\n"
        (tools / "sample.mjs").write_text(sample)
        plain = run(tools, fresh, "venv/bin/node", "sample.mjs")

    assert python == "python: Buy milk\n"
    assert typescript == "typescript: Buy milk"
    assert plain == "Buy milk\n"


def run(folder: Path, project: Project, *command: str) -> str:
    environment = project.env | {"PATH": f"{folder}/venv/bin:{project.env['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("variant", [BARE], ids=str)
def test_check(fresh: Project) -> None:
    def check() -> str:
        return fresh.run("sh", "-c", "uv run -q acme-orders client generate --check; echo code $?")

    missing = check()
    fresh.uv_run("acme-orders", "client", "generate", "python")
    current = check()
    schemas = fresh.path / "src/app/items/schemas.py"
    schemas.write_text(schemas.read_text().replace("Title.", "Name."))
    outdated_schema = check()
    fresh.uv_run("acme-orders", "openapi")
    outdated_client = check()

    assert "openapi.json does not exist." in missing
    assert "code 0" in current
    assert "openapi.json is outdated." in outdated_schema
    assert "clients/python is outdated." in outdated_client
    for output in (missing, outdated_schema, outdated_client):
        assert "code 1" in output
        assert "Traceback" not in output
