"""How settings are read: groups of variables, and all faults said at once."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_FILE = Path(".env")
# Where Docker, Swarm and Kubernetes put files that hold a secret each.
SECRETS = Path("/run/secrets")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values in one variable."""


class Fault(NamedTuple):
    """One thing that is wrong with one variable."""

    variable: str
    advice: str


class SettingsError(Exception):
    """The settings are not usable; says every fault at once."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        lines = [f"  {fault.variable}: {fault.advice}" for fault in faults]
        super().__init__("\n".join(["The settings are not usable:", *lines]))


class Group(BaseSettings):
    """What all settings classes share."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        # An error message must not repeat a secret.
        hide_input_in_errors=True,
    )

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Map each field to the variable that sets it."""
        prefix = cls.model_config["env_prefix"]
        return {
            name: field.validation_alias
            if isinstance(field.validation_alias, str)
            else (prefix + name).upper()
            for name, field in cls.model_fields.items()
        }

    def production_faults(self) -> Iterator[Fault]:
        """Yield what may pass in development, but not in production."""
        yield from ()


class AllSettings(BaseModel):
    """Groups that are read together. One is called `app`, and says whether this is production."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def groups(cls) -> dict[str, type[Group]]:
        """Map each field to its class."""
        return {
            name: field.annotation
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, Group)
        }

    @classmethod
    def secret_variables(cls) -> set[str]:
        """Name the variables whose values are to be shown to nobody."""
        return {
            group.variables()[name]
            for group in cls.groups().values()
            for name, field in group.model_fields.items()
            if "SecretStr" in str(field.annotation)
        }

    @classmethod
    def load(cls, env_file: Path | None = ENV_FILE, secrets: Path = SECRETS) -> Self:
        """Read the environment, and files for what it does not say.

        A value may be in a file of its own: the one that `NAME_FILE` names, or `NAME` in `secrets`.

        Args:
            env_file: File of `NAME=value` lines; None, or a missing one, is no fault.
            secrets: Folder of files that hold a value each; a missing one is no fault.

        Raises:
            SettingsError: A value is not usable, `env_file` has a name that looks like a slip,
                or something that production needs is missing. All of it is said at once.
        """
        given = {**(dotenv_values(env_file) if env_file else {}), **os.environ}
        faults = list(_slips(env_file, cls.groups())) if env_file else []
        loaded: dict[str, Group] = {}
        for name, group in cls.groups().items():
            try:
                files: dict[str, Any] = dict(_from_files(group.variables(), given, secrets))
                loaded[name] = group(_env_file=env_file, **files)
            except OSError as error:
                faults.append(Fault(f"{error.filename}", f"cannot be read: {error.strerror}."))
            except ValidationError as error:
                faults += _faults(error, group)
        # Where the environment is not known, the strictest rules hold.
        if getattr(loaded.get("app"), "production", True):
            for group_settings in loaded.values():
                faults += group_settings.production_faults()
        if faults:
            raise SettingsError(faults)
        return cls(**loaded)


def _from_files(
    variables: dict[str, str], given: dict[str, str | None], secrets: Path
) -> Iterator[tuple[str, str]]:
    for name, variable in variables.items():
        named = given.get(f"{variable}_FILE")
        path = Path(named) if named else secrets / variable
        if not given.get(variable) and (named or path.is_file()):
            yield name, path.read_text(encoding="utf-8").strip()


def _faults(error: ValidationError, group: type[Group]) -> Iterator[Fault]:
    variables = group.variables()
    for detail in error.errors(include_url=False, include_input=False):
        name = str(detail["loc"][0])
        message = detail["msg"].removeprefix("Value error, ")
        yield Fault(variables.get(name, name), message.removesuffix(".") + ".")


def _slips(env_file: Path, groups: dict[str, type[Group]]) -> Iterator[Fault]:
    """Yield the names in `env_file` that are probably meant to be another.

    Other programs read the file too, so a name that resembles none of ours is theirs.
    """
    known = [variable for group in groups.values() for variable in group.variables().values()]
    prefixes = tuple(str(group.model_config["env_prefix"]) for group in groups.values())
    for name in dotenv_values(env_file):
        if name.upper().removesuffix("_FILE") in known:
            continue
        if similar := difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8):
            yield Fault(name, f"is no setting ({env_file}); did you mean {similar[0]}?")
        elif name.upper().startswith(prefixes):
            mine = [variable for variable in known if variable.startswith(name.split("_")[0])]
            yield Fault(name, f"is no setting ({env_file}); there are {', '.join(mine)}.")
