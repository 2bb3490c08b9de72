"""The arguments of `feature new` for a domain that exists, read from its code."""

import ast
import re
import shlex
from pathlib import Path

from fastship_tooling.feature.kinds import KINDS
from fastship_tooling.feature.names import Names, camel
from fastship_tooling.feature.project import SOURCE, FeatureError, find_domain, table_name
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, command_line

UNKNOWN = "TYPE"
"""Type of a field that is not from the pattern."""
BASE = {"id", "created_at", "updated_at", "owner_id"}
# Schemas have the types of requests, and other code has those of responses.
TYPES = {kind.response: name for name, kind in reversed(KINDS.items())} | {
    kind.request: name for name, kind in KINDS.items()
}


def command_of(names: Names) -> str:
    """Return the command that writes the code of a domain again.

    Args:
        names: The domain.
    """
    specifications, options = arguments_of(names)
    return command_line(
        shlex.join(["feature", "new", names.plural, *specifications, *options, "--again"])
    )


def arguments_of(names: Names) -> tuple[list[str], list[str]]:
    """Return the specifications of the fields of a domain, and its options.

    What the project does not support is omitted, such as references to users without accounts.

    Args:
        names: The domain.
    """
    code = DomainCode(names)
    specifications = [code.specification(name) for name in code.rows]
    return [text for text in specifications if text], code.options()


class DomainCode:
    """The code of a domain.

    Args:
        names: The domain.

    Raises:
        FeatureError: It has no model.
    """

    def __init__(self, names: Names) -> None:
        folder = SOURCE / names.plural
        self.names = names
        stored = (folder / "models.py").exists()
        self.models = _classes(folder / ("models.py" if stored else "store.py"))
        self.schemas = _classes(folder / "schemas.py")
        self.enums = _classes(folder / "enums.py")
        self.dependencies = _text(folder / "dependencies.py")
        self.store = "" if stored else _text(folder / "store.py")
        found = [
            node
            for name, node in self.models.items()
            if table_name(node) == names.plural or (not stored and name == camel(names.singular))
        ]
        if not found:
            raise FeatureError(f"{folder} has no class for {names.plural}.")
        self.model = found[0]
        self.rows = {
            name: node
            for name, node in _fields(self.model).items()
            if name not in BASE and _called(node.value) not in {"relationship", "field"}
        }

    def specification(self, name: str) -> str:
        """Return the specification of a field; empty if the project does not support it."""
        if ast.unparse(self.rows[name].annotation).startswith("AssociationProxy["):
            link = self.models.get(camel(self.names.singular) + camel(name.removesuffix("_ids")))
            if link is None:
                return f"{name}:{UNKNOWN}"
            target = (table_name(link) or "").removeprefix(f"{self.names.singular}_")
            return f"{target}:many[{target}]" if HAS_DATABASE else ""
        node = self._request(name)
        annotation = ast.unparse(node.annotation)
        type_ = annotation.removesuffix(" | None")
        target = self._target(name)
        if target and find_domain(target) is None:
            return ""
        if target:
            kind = f"ref[{target}]"
        elif type_ in self.enums:
            members = [n.value for n in self.enums[type_].body if isinstance(n, ast.Assign)]
            kind = f"enum[{','.join(ast.unparse(value).strip("'") for value in members)}]"
        else:
            kind = TYPES.get(type_.removeprefix("dt."), UNKNOWN)
        optional = "?" if type_ != annotation else ""
        short = name.removesuffix("_id") if target else name
        return f"{short}:{kind}{optional}{self._options(name)}{self._default(node)}"

    def options(self) -> list[str]:
        """Return the options that define who can call the endpoints."""
        if not HAS_AUTH:
            return []
        superuser = "Superuser" in self.dependencies
        reader = re.search(r"def get_\w+_reader\((.*?)\)", self.dependencies, re.DOTALL)
        restricted = superuser or "CurrentUser" in self.dependencies
        public = restricted and reader and not re.search("Superuser|CurrentUser", reader[1])
        return [*(["--public"] if public else []), *(["--superuser"] if superuser else [])]

    def _request(self, name: str) -> ast.AnnAssign:
        """Return the field of a request schema; if there is none, of the model."""
        for suffix in ("Create", "Update"):
            class_ = self.schemas.get(f"{camel(self.names.singular)}{suffix}")
            if class_ and (node := _fields(class_).get(name)):
                return node
        node = self.rows[name]
        if isinstance(node.annotation, ast.Subscript):  # Mapped[...]
            return ast.AnnAssign(node.target, node.annotation.slice, None, 1)
        return node

    def _target(self, name: str) -> str:
        """Return the domain that a field references, if any."""
        value = ast.unparse(node) if (node := self.rows[name].value) else ""
        found = re.search(r"reference\('(\w+)'|ForeignKey\('(\w+)\.id'", value)
        found = found or re.search(rf"check_references\((?s:.*?)\b{name}=(\w+)", self.store)
        return next((group.lower() for group in found.groups() if group), "") if found else ""

    def _options(self, name: str) -> str:
        params = self.schemas.get(f"{camel(self.names.singular)}Params")
        queries = _fields(params) if params else {}
        sorts = (
            re.findall(r"'(\w+)'", ast.unparse(queries["sort"].annotation))
            if "sort" in queries
            else []
        )
        arguments = [ast.unparse(node) for node in self.model.body if isinstance(node, ast.Assign)]
        unique = re.search(rf"UniqueConstraint\((?:'owner_id', )?'{name}'\)", " ".join(arguments))
        found = {
            "unique": bool(unique) and HAS_DATABASE,
            "filter": bool({name, f"{name}_min"} & set(queries)),
            "sort": name in sorts,
        }
        options = ",".join(option for option, enabled in found.items() if enabled)
        return f":{options}" if options else ""

    def _default(self, node: ast.AnnAssign) -> str:
        """Return the default of a field: an equal sign and a value, or nothing."""
        if not (isinstance(node.value, ast.Call) and node.value.args):
            return ""
        default = node.value.args[0]
        if isinstance(default, ast.Attribute):  # InvoiceStatus.DRAFT
            enum = self.enums.get(ast.unparse(default.value))
            values = {
                ast.unparse(member.targets[0]): member.value
                for member in (enum.body if enum else ())
                if isinstance(member, ast.Assign)
            }
            default = values.get(default.attr, default)
        if isinstance(default, ast.Call) and default.args:  # Decimal("0")
            default = default.args[0]
        try:
            value = ast.literal_eval(default)
        except ValueError:
            return ""
        if value is None or isinstance(value, list):
            return ""
        return f"={str(value).lower() if isinstance(value, bool) else value}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _classes(path: Path) -> dict[str, ast.ClassDef]:
    body = ast.parse(_text(path)).body
    return {node.name: node for node in body if isinstance(node, ast.ClassDef)}


def _fields(class_: ast.ClassDef) -> dict[str, ast.AnnAssign]:
    return {
        node.target.id: node
        for node in class_.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _called(node: ast.expr | None) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""
