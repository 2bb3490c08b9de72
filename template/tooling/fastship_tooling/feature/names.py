"""The names of a domain in their various styles, and renaming one domain to another."""

import io
import re
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# Not as in: a unit, a user, a utility, a European, a one-time code.
VOWEL_SOUND = r"(?!uni(?![mn])|us[aeu]|ut[ei]|eu|one\b|one[_ -])[aeiou]|hour|heir|honest|hono"


@dataclass(frozen=True)
class Names:
    """The names of a domain.

    Args:
        plural: Name of the domain, in snake case: `order_lines`.
        singular: Name of one of its entities: `order_line`.
    """

    plural: str
    singular: str

    @property
    def forms(self) -> tuple[str, str]:
        """Both names, the longer one first: it may start with the other."""
        return (self.plural, self.singular)


def camel(snake: str) -> str:
    """Return a name in another style.

    Example:
        >>> camel("order_lines")
        'OrderLines'
    """
    return "".join(part.capitalize() for part in snake.split("_"))


def kebab(snake: str) -> str:
    """Return a name in another style.

    Example:
        >>> kebab("order_lines")
        'order-lines'
    """
    return snake.replace("_", "-")


def words(snake: str) -> str:
    """Return `order lines` for `order_lines`."""
    return snake.replace("_", " ")


def sentence(snake: str) -> str:
    """Return a name in another style.

    Example:
        >>> sentence("order_lines")
        'Order lines'
    """
    return words(snake).capitalize()


def article(noun: str) -> str:
    """Return the indefinite article of a noun."""
    return "an" if re.match(VOWEL_SOUND, noun, re.IGNORECASE) else "a"


class Renaming:
    """Renames a domain in code and text.

    `items` occurs in many forms: `create_item`, `ItemService`, `ITEMS`, `/items`, "an item". In code, the
    token tells which form is meant; in text, its context does.

    Args:
        old: Current names.
        new: New names.
    """

    def __init__(self, old: Names, new: Names) -> None:
        self.old = old
        self.new = new
        forms = dict(zip(old.forms, new.forms, strict=True))
        # All forms are replaced in one pass, since a new name may contain the old one.
        self._snake = {style(a): style(b) for a, b in forms.items() for style in (str, str.upper)}
        self._camel = {camel(a): camel(b) for a, b in forms.items()}
        self._prose = {
            style(a): (a, b)
            for a, b in forms.items()
            for style in (str, kebab, words, camel, sentence, str.upper)
        }
        self._identifier_pattern = re.compile(
            rf"(?<![^_])(?:{_any(self._snake)})(?![^_])|(?:{_any(self._camel)})(?![a-z])"
        )
        self._prose_pattern = re.compile(
            rf"(?<![A-Za-z0-9])(?:(?P<article>[Aa]n?) )?(?P<form>{_any(self._prose)})(?![A-Za-z0-9])"
            rf"|(?P<camel>{_any(self._camel)})(?=[A-Z])|(?<=[a-z])(?P<end>{_any(self._camel)})(?![a-z])"
        )

    def path(self, path: Path) -> Path:
        """Rename each part of a path. Documentation pages use kebab case."""
        style = kebab if path.suffix == ".md" else str
        forms = {style(a): style(b) for a, b in zip(self.old.forms, self.new.forms, strict=True)}
        pattern = re.compile(rf"(?<![A-Za-z])(?:{_any(forms)})(?![A-Za-z])")
        return Path(*(pattern.sub(lambda match: forms[match[0]], part) for part in path.parts))

    def identifier(self, name: str) -> str:
        """Rename an identifier: `valid_item_id`, `ItemService`, `ITEMS`."""
        both = self._snake | self._camel
        return self._identifier_pattern.sub(lambda match: both[match[0]], name)

    def prose(self, text: str) -> str:
        """Rename in text: documentation, a string or a comment."""
        return self._prose_pattern.sub(self._in_prose, text)

    def _in_prose(self, match: re.Match[str]) -> str:
        if name := match["camel"] or match["end"]:
            return self._camel[name]
        form, preceding, text = match["form"], match["article"], match.string
        old, new = self._prose[form]
        start, end = match.span("form")
        before = " " if preceding else text[max(start - 1, 0) : start]
        renamed = _style(form, old, before, text[end : end + 2], text[:start])(new)
        if not preceding:
            return renamed
        right = article(renamed)
        return f"{right.capitalize() if preceding[0] == 'A' else right} {renamed}"

    def code(self, source: str) -> str:
        """Rename in Python code."""
        lines = source.splitlines(keepends=True)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line))
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        renamed: list[str] = []
        done = 0
        for index, token in enumerate(tokens):
            begin = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            text = source[begin:end]
            if token.type == tokenize.NAME:
                text = text if _is_library_name(tokens, index) else self.identifier(text)
            elif token.type in {tokenize.STRING, tokenize.FSTRING_MIDDLE, tokenize.COMMENT}:
                text = text if text == '"POST"' else self.prose(text)  # a method of HTTP
            else:
                continue
            renamed += [source[done:begin], text]
            done = end
        return "".join([*renamed, source[done:]])


def _any(forms: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, forms), key=len, reverse=True))


def _style(form: str, old: str, before: str, after: str, left: str) -> Callable[[str], str]:
    """Return the style of the new name, from the style of the old one and its context.

    Args:
        form: The old name as it is written.
        old: The old name in snake case.
        before: The character before it; empty at the start of the text.
        after: The two characters after it.
        left: The text before it.
    """
    next_one = after[:1]
    alone = before in {'"', "'", ""} and next_one in {'"', "'", ""}
    if form.isupper():
        return str.upper
    if form[0].isupper():
        in_code = alone or before in {"`", "["} or next_one in {"`", "(", "["}
        return camel if in_code or (form == camel(old) and "_" in old) else sentence
    if " " in form:
        return words
    in_folder = before == "/" and re.search(r"(app|tests)/$", left)
    dotted = before == "." or (before != "/" and re.match(r"\.\w", after))
    adjacent = before in {"_", "`", "{", '"', "'"} or next_one in {"_", "`", "}", ":"}
    if alone or in_folder or dotted or "_" in form or (adjacent and before != "/"):
        return str
    return kebab if before == "/" or "-" in {before, next_one} or "-" in form else words


def _is_library_name(tokens: list[tokenize.TokenInfo], index: int) -> bool:
    """Return whether a token is a name of a library: `mapping.items()`, `client.post(` or `tags=[`."""
    around = [token.string for token in tokens[max(index - 1, 0) : index + 3]]
    return (
        around == [".", "items", "(", ")"]
        or around[:3] == [".", "post", "("]
        or around[1:] == ["tags", "=", "["]
    )
