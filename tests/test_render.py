"""What a render leaves in the folder, and what it does not."""

import re
from collections import Counter

from tests.conftest import Render
from tests.project import Project
from tests.variants import FEATURES, FULL, WORDS, Variant

ALWAYS = """
.copier-answers.yml .dockerignore .editorconfig .env.example .env.production.example .gitattributes .gitignore
.github/dependabot.yml .github/workflows/ci.yml .github/workflows/docs.yml .github/workflows/release.yml
.github/workflows/template-update.yml
.pre-commit-config.yaml .python-version AGENTS.md CLAUDE.md LICENSE README.md pyproject.toml
Dockerfile.dev Dockerfile.prod docker-compose.yml docker-compose.prod.yml deploy/Caddyfile deploy/swarm.yml
deploy/kubernetes/autoscaler.yaml deploy/kubernetes/deployment.yaml deploy/kubernetes/disruption-budget.yaml
deploy/kubernetes/ingress.yaml deploy/kubernetes/kustomization.yaml deploy/kubernetes/service.yaml
deploy/kubernetes/settings.env
src/app/__init__.py src/app/config.py src/app/main.py
src/app/cli/__init__.py src/app/cli/__main__.py src/app/cli/changelog.py src/app/cli/checks.py src/app/cli/client.py src/app/cli/clients.py src/app/cli/console.py
src/app/cli/deploy/__init__.py src/app/cli/deploy/command.py src/app/cli/deploy/image.py
src/app/cli/deploy/preparation.py src/app/cli/deploy/server.py src/app/cli/deploy/swarm.py
src/app/cli/dev.py src/app/cli/docker.py src/app/cli/doctor.py src/app/cli/env_file.py src/app/cli/git.py
src/app/cli/main.py src/app/cli/openapi.py src/app/cli/reload.py src/app/cli/routes.py src/app/cli/serve.py src/app/cli/stack.py
src/app/cli/feature/__init__.py src/app/cli/feature/build.py src/app/cli/feature/commands.py
src/app/cli/feature/fields.py src/app/cli/feature/names.py src/app/cli/feature/project.py
src/app/health/__init__.py src/app/health/probe.py src/app/health/router.py
src/app/items/__init__.py src/app/items/dependencies.py src/app/items/exceptions.py
src/app/items/models.py src/app/items/router.py src/app/items/schemas.py src/app/items/service.py
src/app/kit/__init__.py src/app/kit/api_docs.py src/app/kit/draining.py src/app/kit/logs.py src/app/kit/middleware.py
src/app/kit/pagination.py src/app/kit/problems.py src/app/kit/routing.py src/app/kit/schemas.py src/app/kit/security.py src/app/kit/settings.py src/app/kit/state.py
tests/__init__.py tests/conftest.py tests/test_config.py tests/test_docstrings.py tests/test_main.py
tests/cli/__init__.py tests/cli/test_clients.py tests/cli/conftest.py tests/cli/pretended.py tests/cli/test_changelog.py
tests/cli/test_deploy.py tests/cli/test_deploy_preparation.py tests/cli/test_dev.py tests/cli/test_doctor.py
tests/cli/test_env_file.py tests/cli/test_feature.py tests/cli/test_main.py tests/cli/test_openapi.py
tests/cli/test_reload.py tests/cli/test_stack.py
tests/health/__init__.py tests/health/test_probe.py tests/health/test_router.py
tests/items/__init__.py tests/items/factories.py tests/items/test_router.py
tests/kit/__init__.py tests/kit/test_draining.py tests/kit/test_logs.py tests/kit/test_pagination.py tests/kit/test_problems.py
tests/kit/test_routing.py tests/kit/test_schemas.py tests/kit/test_security.py
"""
ONLY = {
    "database": """
        src/app/database.py src/app/seeds.py src/app/cli/backup.py src/app/cli/database.py src/app/cli/db.py
        src/app/cli/auto_migrate/__init__.py src/app/cli/auto_migrate/changes.py
        src/app/cli/auto_migrate/follow.py src/app/cli/auto_migrate/history.py
        src/app/cli/auto_migrate/memory.py src/app/cli/postgres.py src/app/cli/psql.py
        src/app/kit/database_url.py
        src/app/migrations/__init__.py src/app/migrations/env.py
        src/app/migrations/script.py.mako src/app/migrations/versions/0001_initial.py
        tests/databases.py tests/test_database.py tests/test_migrations.py
        deploy/kubernetes/migrate.yaml tests/cli/test_auto_migrate.py tests/cli/test_backup.py tests/cli/test_db.py tests/cli/test_postgres.py tests/cli/test_psql.py
        tests/cli/test_schema_changes.py
        """,
    "redis": "src/app/cli/redis.py src/app/kit/redis.py tests/items/test_cache.py tests/kit/test_redis.py tests/redis_server.py",
    "auth": """
        src/app/auth/__init__.py src/app/auth/admin_router.py src/app/auth/constants.py src/app/auth/dependencies.py
        src/app/auth/emails.py src/app/auth/exceptions.py src/app/auth/mails.py
        src/app/auth/models.py src/app/auth/passwords.py src/app/auth/refresh.py
        src/app/auth/router.py src/app/auth/schemas.py src/app/auth/service.py
        src/app/auth/tokens.py src/app/cli/users.py src/app/kit/mail.py
        src/app/kit/mails/mail.html src/app/kit/mails/mail.txt src/app/kit/rate_limit.py
        tests/auth/__init__.py tests/auth/conftest.py tests/auth/factories.py
        tests/auth/test_account.py tests/auth/test_admin_router.py tests/auth/test_limits.py
        tests/auth/test_register.py tests/auth/test_settings.py tests/auth/test_sign_in.py
        tests/cli/test_users.py tests/items/test_ownership.py tests/kit/test_mail.py
        tests/kit/test_rate_limit.py
        """,
    "not database": "tests/items/conftest.py",
    "auth docs": "docs/api/authentication.md",
    "auth redis": "tests/auth/test_limits_with_redis.py",
    "docs": """
        Dockerfile.docs deploy/nginx.conf mkdocs.yml docs/index.md docs/getting-started/installation.md
        docs/getting-started/quickstart.md docs/api/items.md docs/api/live.md docs/api/overview.md docs/api/python.md
        docs/assets/extra.css docs/assets/live.js docs/assets/meaning.js
        docs/examples/basic.md docs/examples/advanced.md docs/development/contributing.md
        docs/development/deployment.md docs/development/growing.md docs/development/testing.md
        src/app/cli/docs.py src/app/cli/docs_site/__init__.py src/app/cli/docs_site/export.py src/app/cli/docs_site/finish.py
        src/app/cli/docs_site/hooks.py src/app/cli/docs_site/meaning.py src/app/cli/docs_site/pages.py src/app/cli/docs_site/samples.py
        tests/cli/test_docs.py tests/cli/test_site.py
        """,
}
# Made by commands of the project, and ignored by its git where they are nobody's business.
MADE = re.compile(
    r"(^|/)(__pycache__|\.dev|\.\w+_cache|\.env|uv\.lock|\.coverage)($|/)"
    r"|^(site/|docs/(api/endpoints|changelog|development/configuration)\.md$)"
)

# Where a feature's word may stand though it is off: the record of the answers, a text of law, and
# what is the same in all variants and looks for itself: workflows, `feature new`, samples of the API.
EXEMPT = re.compile(
    r"\.copier-answers\.yml|LICENSE|\.github/workflows/.*|uv\.lock"
    r"|src/app/cli/feature/.*|tests/cli/test_feature\.py"
    r"|src/app/cli/docs_site/(pages|samples)\.py|tests/cli/test_site\.py"
)


def texts(project: Project) -> dict[str, str]:
    return {
        path: (project.path / path).read_text(encoding="utf-8")
        for path in project.files()
        if not MADE.search(path)
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


def test_files_are_exactly_these(project: Project, variant: Variant) -> None:
    expected = Counter(ALWAYS.split())
    for feature, paths in ONLY.items():
        on = {name: getattr(variant, name) for name in FEATURES} | {"not": True}
        if feature == "not database":
            on["database"] = not variant.database
        if all(on[name] for name in feature.split()):
            expected.update(paths.split())

    assert max(expected.values()) == 1
    assert set(texts(project)) == set(expected)


def test_nothing_is_left_of_what_is_off(project: Project, variant: Variant) -> None:
    files = texts(project)
    left = {
        word: lines
        for feature in variant.off
        for word in WORDS[feature]
        if (lines := lines_with(word, files))
    }

    assert left == {}


def test_words_that_are_looked_for_exist(render: Render) -> None:
    files = texts(render(FULL))

    assert [w for words in WORDS.values() for w in words if not lines_with(w, files)] == []


def test_text_files_are_clean(project: Project) -> None:
    for path, text in texts(project).items():
        jinja = ["{%", "{#"] if not path.startswith(".github/workflows/") else []
        jinja += ["{{", "}}"] if "workflows" not in path else []
        # A Mako template of Alembic's has braces of its own, and so has an f-string.
        if path.endswith((".py", ".mako")):
            jinja = ["{%"]
        # The changelog's template.
        if path == "pyproject.toml":
            jinja = ["# {%"]
        if path.startswith("src/app/kit/mails/"):  # templates of the project's own
            jinja = ["# {%"]
        assert [tag for tag in jinja if tag in text] == [], path
        if text:
            assert text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
        assert "\r" not in text, path
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), path
        if path.endswith((".md", ".yml", ".toml", ".example")) or path.startswith(".git"):
            assert "\n\n\n" not in text, path


def test_imports_are_absolute_and_there_are_no_shell_scripts(project: Project) -> None:
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
