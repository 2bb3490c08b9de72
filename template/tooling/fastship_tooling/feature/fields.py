"""The fields of a new domain, and the code for them."""

import re
from dataclasses import dataclass
from typing import Any

from fastship_tooling.feature.kinds import MANY, Kind, code, member
from fastship_tooling.feature.names import Names, article, camel, words

NO_DEFAULT = object()


@dataclass(frozen=True)
class Field:
    """A field of the new domain.

    Args:
        name: Name of the attribute and of the column.
        kind: Type.
        domain: The new domain.
        optional: Whether the value may be null.
        default: Default value, or NO_DEFAULT.
        references: Domain that the field references.
        shared: Whether the rows of that domain belong to no user.
        values: Values of an enum.
        unique: Whether no two records of a user may have the same value.
        filter: Whether lists can be filtered by the field.
        sort: Whether lists can be sorted by the field.
    """

    name: str
    kind: Kind
    domain: Names
    optional: bool = False
    default: Any = NO_DEFAULT
    references: Names | None = None
    shared: bool = False
    values: tuple[str, ...] = ()
    unique: bool = False
    filter: bool = False
    sort: bool = False

    @property
    def required(self) -> bool:
        """Whether a request must contain the field."""
        return not self.optional and self.default is NO_DEFAULT and not self.many

    @property
    def many(self) -> bool:
        """Whether the field references any number of records."""
        return self.kind is MANY

    @property
    def is_recursive(self) -> bool:
        """Whether the field references its own domain, as in a tree."""
        return self.references == self.domain

    @property
    def target(self) -> Names | None:
        """Domain whose records are created for the field in tests."""
        return None if self.references_users or self.is_recursive else self.references

    @property
    def references_users(self) -> bool:
        """Whether the field references accounts."""
        return self.references is not None and self.references.plural == "users"

    @property
    def enum(self) -> str:
        """Code of the enum."""
        members = "".join(f'\n    {member(value)} = "{value}"' for value in self.values)
        whole = words(self.domain.singular)
        docstring = f"{self.description.rstrip('.')} of {article(whole)} {whole}."
        return f'class {self.kind.request}(StrEnum):\n    """{docstring}"""\n{members}\n'

    @property
    def parameters(self) -> list[str]:
        """Names of the query parameters that filter lists by the field."""
        if not self.filter:
            return []
        return (
            [f"{self.name}_{bound}" for bound in ("min", "max")]
            if self.kind.bounds
            else [self.name]
        )

    @property
    def description(self) -> str:
        """Description of the field."""
        if self.references and self.many:
            return f"IDs of the {words(self.references.plural)}."
        if self.references:
            return f"ID of the {words(self.name.removesuffix('_id'))}."
        if self.kind.request == "StrictBool":
            verb, _, rest = self.name.partition("_")
            phrase = f"{verb} {words(rest)}" if rest and verb in {"is", "has"} else None
            return (
                f"Whether the {words(self.domain.singular)} {phrase or f'is {words(self.name)}'}."
            )
        if self.kind.request == "Date":
            stem = words(re.sub("_?(on|date)$", "", self.name))
            return f"{stem} date.".strip().capitalize()
        if self.kind.request == "UtcDatetime":
            stem = words(re.sub("_?(at|time|datetime)$", "", self.name))
            return f"{stem} time (UTC).".strip().capitalize().replace("(utc)", "(UTC)")
        return f"{words(self.name).capitalize()}."

    @property
    def response(self) -> str:
        """Code in the response schema."""
        return f"{self.name}: {self._nullable(self.kind.response)} = Field({self._options(0)})"

    @property
    def create(self) -> str:
        """Code in the schema of a create request."""
        default = ""
        if self.default is not NO_DEFAULT:
            default = f"{self.kind.default_code(self.default)}, "
        elif self.optional:
            default = "None, "
        elif self.many:
            default = "[], "
        options = f"{default}{self._options(0)}"
        return f"{self.name}: {self._nullable(self.kind.request)} = Field({options})"

    @property
    def update(self) -> str:
        """Code in the schema of an update request."""
        return f"{self.name}: {self._nullable(self.kind.request)} = omittable({self._options(1)})"

    @property
    def queries(self) -> list[str]:
        """Code of the query parameters that filter lists by the field."""
        type_ = f"{self.kind.query or self.kind.request} | None"
        noun = words(self.name.removesuffix("_id"))
        descriptions = [f"Only entries with this {noun}."]
        if self.kind.request == "StrictBool":
            descriptions = [self.description]
        elif self.kind.bounds:
            whole = self.description.removesuffix(".").removesuffix(" (UTC)")
            descriptions = [f"{bound} {whole[0].lower()}{whole[1:]}." for bound in self.kind.bounds]
        return [
            f"{parameter}: {type_} = Field(None, description={description!r})"
            for parameter, description in zip(self.parameters, descriptions, strict=False)
        ]

    def _options(self, example: int) -> str:
        options = f"description={self.description!r}"
        return options if self.many else f"{options}, examples=[{self.kind.examples[example]!r}]"

    @property
    def empty_links(self) -> str:
        """Entry of a dictionary, with the empty list of the links."""
        return f'"{self._stem}_links": []'

    @property
    def column(self) -> str:
        """Code in the model."""
        if self.many:
            link = self.link
            return (
                f"{self._stem}_links: Mapped[list[{link}]] = relationship("
                f'cascade="all, delete-orphan", lazy="selectin", order_by={link}.{self._stem}_id)\n'
                f"    {self.name}: AssociationProxy[list[UUID]] = association_proxy("
                f'"{self._stem}_links", "{self._stem}_id", creator=lambda row_id: {link}({self._stem}_id=row_id))'
            )
        arguments = [self.kind.column] if self.kind.column else []
        if self.references and not self.references_users and not self.shared:
            type_ = self._nullable(self.kind.response)
            return f'{self.name}: Mapped[{type_}] = reference("{self.references.plural}")'
        if self.references:
            action = ""
            if self.references_users:
                # Deleting an account deletes the records that need it.
                action = f', ondelete="{"SET NULL" if self.optional else "CASCADE"}"'
            arguments = [f'ForeignKey("{self.references.plural}.id"{action})', "index=True"]
        if self.default is not NO_DEFAULT:
            arguments.append(f"server_default={self.kind.server_default(self.default)}")
        options = f" = mapped_column({', '.join(arguments)})" if arguments else ""
        return f"{self.name}: Mapped[{self._nullable(self.kind.response)}]{options}"

    @property
    def _stem(self) -> str:
        return self.name.removesuffix("_ids")

    @property
    def link(self) -> str:
        """Name of the class of the association with the referenced records."""
        return f"{camel(self.domain.singular)}{camel(self._stem)}"

    @property
    def ids(self) -> str:
        """Name of the subquery for the IDs of the referenced records."""
        return self.name.upper()

    @property
    def link_columns(self) -> list[str]:
        """Code of the columns of the association."""
        own, target = self.domain, self.references or self.domain
        options = 'primary_key=True, ondelete="CASCADE"'
        right = f'reference("{target.plural}", {options})'
        if self.shared:
            # Errors name the field of the request, which is a list.
            name = f"{own.singular}_{target.plural}_{self.name}_fkey"
            key = f'ForeignKey("{target.plural}.id", name="{name}", ondelete="CASCADE")'
            right = f"mapped_column({key}, primary_key=True, index=True)"
        return [
            f'{own.singular}_id: Mapped[UUID] = reference("{own.plural}", {options})',
            f"{target.singular}_id: Mapped[UUID] = {right}",
        ]

    @property
    def attribute(self) -> str:
        """Code in the dataclass of a domain that is stored in memory."""
        return f"{self.name}: {self._nullable(self.kind.response)}"

    @property
    def example(self) -> str:
        """Code of a value in tests."""
        if self.references is None:
            return self.kind.unique if self.unique else code(self.kind.examples[0])
        if self.is_recursive:
            return "None"
        if self.target is None:
            return '(await client.get("/api/v1/auth/me")).json()["id"]'
        created = f'(await create_{self.target.singular}(client))["id"]'
        return f"[{created}]" if self.many else created

    def _nullable(self, annotation: str) -> str:
        return f"{annotation} | None" if self.optional else annotation


def enum_module(fields: list[Field]) -> str:
    """Return the module with the enums of the fields.

    Args:
        fields: Fields of a domain.
    """
    return "\n\n".join(["from enum import StrEnum\n", *(f.enum for f in fields if f.values)])
