"""Read settings from environment variables, a `.env` file and secret files, and report every problem at once."""

import os
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ENV_FILE = Path(".env")
HOST = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*|\[[\da-fA-F:.]+\]", re.ASCII)
ORIGIN = re.compile(r"https?://[^/\s]+")
# Docker, Swarm and Kubernetes mount one file per secret here.
SECRETS_DIR = Path("/run/secrets")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values in one variable, separated by commas."""


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    for host in value:
        if not HOST.fullmatch(host):
            raise ValueError(
                f"{host} is not a host. Write it without scheme, port and path, an IPv6 address in brackets, "
                "all subdomains as *.example.com, and letters other than a to z in Punycode."
            )
    return tuple(host.lower() for host in value)  # as clients send them


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    if "*" in value and len(value) > 1:
        raise ValueError("* stands for all addresses. Remove the others.")
    for address in value:
        try:
            ip_network("::/0" if address == "*" else address)
        except ValueError as error:
            raise ValueError(
                f"{address} is not an address or a network, such as 10.0.0.7 or 10.0.0.0/8."
            ) from error
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for origin in value:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ValueError("An origin is a scheme and a host, such as https://example.com.")
    return value


HostNames = Annotated[CommaSeparated, AfterValidator(_hosts)]
"""Names that a Host header may have. `*.example.com` and `*` are wildcards."""
Networks = Annotated[CommaSeparated, AfterValidator(_networks)]
"""IP addresses and networks, or `*`. uvicorn ignores invalid ones without an error."""
Origins = Annotated[CommaSeparated, AfterValidator(_origins)]
"""Origins of web pages, or `*`."""


def server_url(advice: str, *schemes: str) -> AfterValidator:
    """Return a validator of the URL of a server. Clients reject an invalid one only when they connect.

    Args:
        advice: What to set instead.
        schemes: Schemes that the URL may have.
    """

    def check(value: SecretStr) -> SecretStr:
        try:
            url = urlsplit(value.get_secret_value())
            # A slash in the password ends the host. The real one is then a part of the path.
            rest = url.path + url.query + url.fragment
            valid = url.scheme in schemes and url.port != 0 and "@" not in rest
        except ValueError:  # the port is not a number
            valid = False
        if not valid or not (url.path if url.scheme == "unix" else url.hostname):
            raise ValueError(advice)
        return value

    return AfterValidator(check)


class SettingsIssue(NamedTuple):
    """A problem with one variable, and how to fix it."""

    variable: str
    advice: str


class SettingsError(Exception):
    """The settings are invalid. The message lists every issue."""

    def __init__(self, issues: list[SettingsIssue]) -> None:
        self.issues = issues
        lines = [f"  {issue.variable}: {issue.advice}" for issue in issues]
        super().__init__("\n".join(["The settings are invalid:", *lines]))


class SettingsGroup(BaseSettings):
    """Base class of the settings of one concern. `BaseAppSettings.load` provides the values."""

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        # An error message must not repeat a secret.
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, *_: Any, init_settings: PydanticBaseSettingsSource, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the given values, so that settings can be read for another process."""
        return (init_settings,)

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Return the environment variable of each field."""
        prefix = cls.model_config["env_prefix"]
        return {
            name: field.validation_alias
            if isinstance(field.validation_alias, str)
            else (prefix + name).upper()
            for name, field in cls.model_fields.items()
        }

    def production_issues(self) -> Iterator[SettingsIssue]:
        """Yield the problems that are acceptable in development but not in production."""
        yield from ()


class BaseAppSettings(BaseModel):
    """Settings groups that are loaded together. The group `app` determines whether this is production."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def groups(cls) -> dict[str, type[SettingsGroup]]:
        """Return the class of each group, by field name."""
        return {
            name: field.annotation
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, SettingsGroup)
        }

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        env_file: Path | None = ENV_FILE,
        secrets_dir: Path | None = SECRETS_DIR,
    ) -> Self:
        """Load all groups.

        A value comes from the environment, else from `env_file`, else from a file: the one named by
        `NAME_FILE`, or `NAME` in `secrets_dir`.

        Args:
            environ: Environment variables; by default those of this process.
            env_file: File of `NAME=value` lines. It may be missing.
            secrets_dir: Directory with one file per value. It may be missing.

        Raises:
            SettingsError: A value is invalid, or a value that production requires is missing.
        """
        environ = os.environ if environ is None else environ
        try:
            from_file = dotenv_values(env_file) if env_file else {}
        except (OSError, UnicodeDecodeError) as error:
            advice = f"cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}."
            raise SettingsError([SettingsIssue(str(env_file), advice)]) from error
        given: dict[str, str] = {}
        for source in (from_file, environ):
            given |= {name.upper(): value for name, value in source.items() if value}
        issues: list[SettingsIssue] = []
        loaded: dict[str, SettingsGroup] = {}
        for name, group in cls.groups().items():
            try:
                values = dict(_values(group.variables(), given, secrets_dir))
                loaded[name], found = _validate(group, values)
                issues += found
            except OSError as error:
                advice = f"cannot be read: {error.strerror}."
                issues.append(SettingsIssue(str(error.filename), advice))
        # An unknown environment is treated as production.
        if getattr(loaded.get("app"), "production", True):
            known = {issue.variable for issue in issues}
            for settings in loaded.values():
                issues += [i for i in settings.production_issues() if i.variable not in known]
        if issues:
            raise SettingsError(issues)
        return cls(**loaded)


def _values(
    variables: dict[str, str], given: Mapping[str, str], secrets_dir: Path | None
) -> Iterator[tuple[str, str]]:
    for name, variable in variables.items():
        if variable in given:
            yield name, given[variable]
        elif file := given.get(f"{variable}_FILE"):
            yield name, _read(Path(file))
        elif secrets_dir and (secrets_dir / variable).is_file():
            yield name, _read(secrets_dir / variable)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise OSError(error.start, "it is not UTF-8", str(path)) from error


def _validate(
    group: type[SettingsGroup], values: dict[str, str]
) -> tuple[SettingsGroup, list[SettingsIssue]]:
    """Create a group; an invalid value is reported and replaced by its default."""
    try:
        return group.model_validate(values), []
    except ValidationError as error:
        variables = group.variables()
        issues = []
        for detail in error.errors(include_url=False, include_input=False):
            name = str(detail["loc"][0])
            name = next((field for field, alias in variables.items() if alias == name), name)
            message = detail["msg"].removeprefix("Value error, ").removesuffix(".")
            issues.append(SettingsIssue(variables.get(name, name), f"{message}."))
            values = {k: v for k, v in values.items() if k != name}
        return group.model_validate(values), issues
