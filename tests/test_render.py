"""The files of each variant."""

import ast
import re
from collections import Counter

from tests.conftest import ROOT, Render
from tests.project import Project
from tests.variants import BARE, FEATURES, FULL, WORDS, Variant

ALWAYS = """
.copier-answers.yml .dockerignore .env.example .gitattributes .gitignore .pre-commit-config.yaml .python-version
.github/dependabot.yml .github/workflows/ci.yml .github/workflows/docs.yml .github/workflows/release.yml
.github/workflows/template-update.yml AGENTS.md LICENSE README.md pyproject.toml docker-compose.yml
deploy/Caddyfile deploy/Dockerfile.dev deploy/Dockerfile.prod deploy/docker-compose.prod.yml
deploy/kubernetes/ingress.yaml deploy/kubernetes/kustomization.yaml deploy/kubernetes/settings.env
deploy/production.env.example
src/app/__init__.py src/app/config.py src/app/domains.py src/app/main.py
src/app/cli/__init__.py src/app/cli/__main__.py src/app/cli/console.py src/app/cli/main.py src/app/cli/serve.py
src/app/health/__init__.py src/app/health/probe.py src/app/health/router.py
src/app/items/__init__.py src/app/items/dependencies.py src/app/items/exceptions.py src/app/items/router.py
src/app/items/schemas.py
src/app/kit/__init__.py src/app/kit/api_docs.py src/app/kit/conditions.py src/app/kit/console_log.py src/app/kit/error_reports.py src/app/kit/graceful_shutdown.py
src/app/kit/http_protocol.py src/app/kit/logs.py
src/app/kit/middleware.py src/app/kit/pagination.py src/app/kit/openapi.py src/app/kit/problems.py src/app/kit/routing.py
src/app/kit/schemas.py src/app/kit/settings.py src/app/kit/state.py src/app/kit/telemetry.py src/app/kit/time_limit.py
src/app/server.py
tests/__init__.py tests/conftest.py tests/test_config.py tests/test_docstrings.py tests/test_main.py tests/test_server.py
tests/cli/__init__.py tests/cli/test_main.py
tests/health/__init__.py tests/health/test_probe.py tests/health/test_router.py
tests/items/__init__.py tests/items/factories.py tests/items/test_router.py
tests/kit/__init__.py tests/kit/test_conditions.py tests/kit/test_console_log.py tests/kit/test_graceful_shutdown.py
tests/kit/test_http_protocol.py tests/kit/test_logs.py tests/kit/test_middleware.py tests/kit/test_time_limit.py
tests/kit/test_pagination.py tests/kit/test_problems.py tests/kit/test_routing.py tests/kit/test_schemas.py
tests/kit/test_telemetry.py
"""
ONLY = {
    "database": """
        src/app/database.py src/app/reader.py tests/test_reader.py src/app/cli/db.py
        src/app/cli/jobs.py src/app/cli/worker.py src/app/worker.py src/app/kit/jobs.py src/app/jobs/__init__.py
        src/app/kit/job_attempts.py src/app/kit/job_queue.py src/app/kit/job_telemetry.py tests/kit/test_job_attempts.py tests/kit/test_job_queue.py
        src/app/jobs/cleanup.py tests/cli/test_jobs.py tests/jobs/__init__.py tests/jobs/fixtures.py
        tests/kit/test_jobs.py tests/test_worker.py
        src/app/idempotency/__init__.py src/app/idempotency/dependencies.py
        src/app/idempotency/models.py src/app/idempotency/service.py src/app/items/models.py src/app/items/service.py
        src/app/kit/database_errors.py src/app/kit/database_url.py src/app/kit/enums.py src/app/kit/query_spans.py
        src/app/kit/queries.py src/app/kit/references.py
        src/app/migrations/__init__.py src/app/migrations/env.py
        src/app/migrations/script.py.mako src/app/migrations/versions/0001_initial.py
        tests/databases.py tests/seeds.py tests/test_database.py tests/test_migrations.py tests/cli/test_db.py
        tests/idempotency/__init__.py tests/idempotency/test_dependencies.py
        tests/items/seeds.py tests/items/test_retries.py tests/kit/test_database_url.py
        tests/kit/test_database_errors.py
        tests/kit/test_enums.py tests/kit/test_references.py
        """,
    "not database": """
        src/app/items/store.py src/app/kit/memory.py tests/items/conftest.py tests/kit/test_memory.py
        """,
    "redis": "src/app/kit/redis.py tests/kit/test_redis.py tests/redis_server.py",
    "auth": """
        src/app/auth/__init__.py src/app/auth/admin_router.py src/app/jobs/account_cleanup.py src/app/jobs/mails.py
        src/app/auth/constants.py tests/jobs/test_account_cleanup.py tests/jobs/test_mails.py
        src/app/auth/common_passwords.txt src/app/auth/dependencies.py src/app/auth/emails.py
        src/app/auth/events.py src/app/auth/exceptions.py src/app/auth/mails.py
        src/app/auth/models.py src/app/auth/passwords.py src/app/auth/router.py
        src/app/auth/schemas.py src/app/auth/service.py src/app/auth/sessions.py src/app/auth/sign_in.py src/app/auth/tokens.py src/app/cli/users.py
        src/app/kit/mail.py src/app/kit/mails/mail.html src/app/kit/mails/mail.txt src/app/kit/rate_limit.py
        tests/auth/__init__.py tests/auth/conftest.py tests/auth/factories.py tests/auth/fixtures.py tests/auth/test_account.py
        tests/auth/test_admin_router.py tests/auth/test_limits.py tests/auth/test_races.py tests/auth/test_register.py
        tests/auth/test_sessions.py tests/auth/test_settings.py tests/auth/test_sign_in.py tests/cli/test_users.py
        tests/items/test_ownership.py tests/kit/test_mail.py tests/kit/test_rate_limit.py
        """,
    "database docs": "docs/examples/jobs.md",
    "auth docs": "docs/api/authentication.md",
    "auth redis": "src/app/kit/rate_limit_redis.py tests/auth/test_limits_with_redis.py",
    "docs": """
        deploy/Dockerfile.docs deploy/nginx.conf mkdocs.yml docs/index.md
        docs/getting-started/installation.md docs/getting-started/quickstart.md
        docs/api/items.md docs/api/live.md docs/api/overview.md docs/api/python.md
        docs/assets/extra.css docs/assets/logo.svg
        docs/examples/basic.md docs/examples/advanced.md docs/examples/uploads.md docs/development/contributing.md
        docs/development/deployment.md docs/development/scaling.md docs/development/testing.md
        """,
}
TOOLING = {
    "database": (
        "fastship_tooling/database/",
        "fastship_tooling/schema_sync/",
        "kubernetes/database/",
    ),
    "docs": ("fastship_tooling/docs/",),
}
"""Folders of tooling/ that belong to a feature."""

# Generated by commands.
GENERATED = re.compile(
    r"(^|/)(__pycache__|\.dev|\.\w+_cache|\.env|uv\.lock|\.coverage)($|/)"
    r"|^(\.cache/|\.zensical\.yml$|site/|docs/(api/endpoints/|changelog\.md$|development/configuration\.md$))"
)

# Files that may contain the words of a feature that is off: the answers, legal text, ignored files,
# which stay when a feature is switched off, workflows that are the same in all variants, and the tooling,
# which detects the features.
EXEMPT = re.compile(
    r"\.copier-answers\.yml|LICENSE|\.gitignore|\.github/workflows/.*|uv\.lock|tooling/.*"
)

# H2 of the requirements: lines of Python in src/app and in tests, and those that later features added:
# conditional requests, limits of requests, a server without the command line, telemetry, error reports, lines
# of the log for people, examples of errors, rules for settings, and filters and order of lists in all
# variants; sessions, security events, rules for passwords and emails with accounts; references, enums, safe
# retries, fast reads, jobs and their worker, which outlives its database, spans and metrics of queries and
# jobs, and errors, locks and checks of migrations with a database.
MAX_LINES = {FULL: (4500 + 4080, 3200 + 1400 + 1850), BARE: (1600 + 1170, 1200 + 1060)}
MAX_TOP_LEVEL = 20
MAX_PYTHON_TEMPLATES = 10
MAX_BLOCK_TAGS = 300


OWN = {"self", "cls"}
"""Objects whose private attributes may be used."""


def texts(project: Project) -> dict[str, str]:
    return {
        path: (project.path / path).read_text(encoding="utf-8")
        for path in project.files()
        if not GENERATED.search(path)
    }


def lines_with(pattern: str, files: dict[str, str]) -> list[str]:
    found = re.compile(pattern, re.IGNORECASE)
    return [
        f"{path}: {line.strip()}"
        for path, text in files.items()
        if not EXEMPT.fullmatch(path)
        for line in [path, *text.splitlines()]
        if found.search(line)
    ]


def test_files(project: Project, variant: Variant) -> None:
    expected = Counter(ALWAYS.split())
    for feature, paths in ONLY.items():
        on = {name: getattr(variant, name) for name in FEATURES} | {"not": True}
        if feature == "not database":
            on["database"] = not variant.database
        if all(on[name] for name in feature.split()):
            expected.update(paths.split())

    assert max(expected.values()) == 1
    assert {path for path in texts(project) if not path.startswith("tooling/")} == set(expected)


def test_tooling_is_the_same_in_all_variants(project: Project, variant: Variant) -> None:
    folder = ROOT / "template/tooling"
    off = tuple(path for name in variant.off for path in TOOLING.get(name, ()))
    expected = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    rendered = {
        path.removeprefix("tooling/"): (project.path / path).read_bytes()
        for path in texts(project)
        if path.startswith("tooling/")
    }

    assert rendered == {path: text for path, text in expected.items() if not path.startswith(off)}
    # It could be published as a package: it contains nothing of a project.
    assert not [path for path, text in rendered.items() if b"acme" in text.lower()]


def test_output_of_programs_is_utf_8(project: Project) -> None:
    # In text mode, Windows would decode it as something else.
    code = [*(project.path / "src").rglob("*.py"), *(project.path / "tooling").rglob("*.py")]
    assert not [path for path in code if "text=True" in path.read_text()]


def test_top_level_is_small_and_explained(project: Project) -> None:
    entries = {path.partition("/")[0] for path in texts(project)} | {"uv.lock"}
    readme = (project.path / "README.md").read_text()
    self_explanatory = {"README.md", "LICENSE", "pyproject.toml", ".github", ".gitignore"}

    assert len(entries) <= MAX_TOP_LEVEL
    unexplained = {
        entry
        for entry in entries - self_explanatory
        if not entry.startswith(".") and f"`{entry}" not in readme
    }
    assert unexplained == set()


def test_lines_of_python(project: Project, variant: Variant) -> None:
    if variant not in MAX_LINES:
        return
    counts = {
        folder: sum(
            text.count("\n")
            for path, text in texts(project).items()
            if path.startswith(folder) and path.endswith(".py")
        )
        for folder in ("src/app/", "tests/")
    }
    max_source, max_tests = MAX_LINES[variant]

    assert counts["src/app/"] <= max_source
    assert counts["tests/"] <= max_tests


def test_no_words_of_features_that_are_off(project: Project, variant: Variant) -> None:
    files = texts(project)
    left = {
        word: lines
        for feature in variant.off
        for word in WORDS[feature]
        if (lines := lines_with(word, files))
    }

    assert left == {}


def test_words_of_features_exist(render: Render) -> None:
    files = texts(render(FULL))

    assert [w for words in WORDS.values() for w in words if not lines_with(w, files)] == []


def test_text_files_are_clean(project: Project) -> None:
    for path, text in texts(project).items():
        if path.startswith("tooling/"):  # it is not rendered
            continue
        jinja = ["{%", "{#"] if not path.startswith(".github/workflows/") else []
        jinja += ["{{", "}}"] if "workflows" not in path else []
        # f-strings and the Mako template of Alembic contain braces.
        if path.endswith((".py", ".mako")):
            jinja = ["{%"]
        # The template of the changelog, and those of the emails.
        if path == "pyproject.toml" or path.startswith("src/app/kit/mails/"):
            jinja = ["# {%"]
        assert [tag for tag in jinja if tag in text] == [], path
        if text:
            assert text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
        assert "\r" not in text, path
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), path
        if path.endswith((".md", ".yml", ".toml", ".example")) or path.startswith(".git"):
            without_code = re.sub(r"```.*?```", "code", text, flags=re.DOTALL)
            assert "\n\n\n" not in without_code, path


def test_absolute_imports_and_no_shell_scripts(project: Project) -> None:
    files = texts(project)

    assert [path for path in files if path.endswith((".sh", ".bat", "Makefile"))] == []
    assert lines_with(r"^\s*from \.", files) == []
    assert lines_with(r"^\s*(from|import) src\b", files) == []


def test_files_are_short(project: Project) -> None:
    long = {
        path: lines
        for path, text in texts(project).items()
        if path.endswith(".py") and (lines := text.count("\n")) > 300
    }

    assert long == {}


def imports(source: str) -> set[str]:
    """Return the modules that Python code imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_go_one_way(project: Project) -> None:
    """The order is tooling -> main -> domains -> database -> reader -> kit -> config."""
    domain = r"app\.(?!kit\b|cli\b|database\b|config\b|main\b|migrations\b|reader\b)"
    forbidden = {
        r"src/app/": r"fastship_tooling|tests",
        r"src/app/kit/": rf"{domain}|app\.(cli|database|main|migrations|reader)\b",
        r"src/app/reader\.py": rf"{domain}|app\.(cli|database|main|migrations)\b",
        r"src/app/config\.py": r"app\.(?!kit\b)",
        r"src/app/database\.py": rf"{domain}|app\.(cli|main|migrations)\b",
        r"src/app/(?!kit|cli|main|migrations)\w+/": r"app\.(cli|main)\b",
        r"tooling/": r"tests|app\.(items|auth)\b",
    }
    wrong = [
        f"{path} imports {module}"
        for path, text in texts(project).items()
        if path.endswith(".py")
        for folder, pattern in forbidden.items()
        if re.match(folder, path)
        for module in imports(text)
        if re.match(pattern, module)
    ]
    for path, text in texts(project).items():
        if match := re.match(r"src/app/(\w+)/\w+\.py", path):
            others = rf"app\.(?!{match[1]}\b|health\b)\w+\.(router|service|store)\b"
            # A job calls services, as a command does.
            if match[1] not in {"kit", "cli", "migrations", "jobs"}:
                wrong += [f"{path} imports {m}" for m in imports(text) if re.match(others, m)]

    assert wrong == []


def test_no_private_interfaces(project: Project) -> None:
    """Private interfaces of libraries change without notice."""
    used = []
    for path, text in texts(project).items():
        if path.endswith(".py"):
            for module in imports(text):
                used += [f"{path} imports {module}"] if re.search(r"\._(?!_)", module) else []
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Attribute) and re.match(r"_(?!_)", node.attr):
                    owner = ast.unparse(node.value)
                    used += [f"{path} uses {owner}.{node.attr}"] if owner not in OWN else []

    assert used == []


def test_no_import_circles(project: Project) -> None:
    modules = {}
    for path, text in texts(project).items():
        for root in ("src/", "tooling/"):
            if path.startswith(root) and path.endswith(".py"):
                name = path.removeprefix(root).removesuffix(".py").removesuffix("/__init__")
                tree = ast.parse(text)
                # Imports at the top of the file; those within functions cannot form a circle.
                top = ast.Module([n for n in tree.body if not isinstance(n, ast.If)], [])
                modules[name.replace("/", ".")] = imports(ast.unparse(top)) if tree.body else set()
    graph = {
        name: {
            target
            for module in found
            for target in (module, module.rpartition(".")[0])
            if target in modules and target != name
        }
        for name, found in modules.items()
    }
    circles = []

    def visit(name: str, chain: list[str]) -> None:
        if name in chain:
            circles.append([*chain[chain.index(name) :], name])
        elif name not in done:
            for target in sorted(graph[name]):
                visit(target, [*chain, name])
            done.add(name)

    done: set[str] = set()
    for name in graph:
        visit(name, [])

    assert circles == []


def test_templates_are_few_and_simple() -> None:
    template = ROOT / "template"
    python = [path for path in template.rglob("*.jinja") if re.search(r"\.py['.]", path.name)]
    tags = sum(len(re.findall(r"# \{% ", path.read_text())) for path in template.rglob("*.jinja"))

    assert 0 < len(python) <= MAX_PYTHON_TEMPLATES
    assert tags <= MAX_BLOCK_TAGS
    for path in python:
        text = path.read_text()
        ast.parse(text, filename=str(path))
        assert not text.startswith("# {% if"), path
        # No condition around a whole file.
        assert not re.fullmatch(r"# \{% if[^\n]*\n.*# \{% endif %\}\n", text, re.DOTALL) or (
            text.count("# {% if") > 1
        ), path
