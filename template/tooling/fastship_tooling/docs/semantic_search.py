"""Search suggestions by meaning: an index of word vectors that runs in the browser.

The build computes a vector for each section of the site: the weighted sum of the vectors of its words.
The browser (`theme/assets/semantic-search.js`) adds up the vectors of the words of a query and of their
synonyms. It shows the sections that have the most similar vectors and contain the rarest of the words, one
of each page. The order of words is ignored.
"""

import base64
import json
import math
import re
from array import array
from collections import Counter
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

WORD = re.compile(r"[a-z]{2,}|\d{3}")  # words, and HTTP statuses
SUFFIXES = (("s", ""), ("ing", ""), ("ed", ""), ("es", ""), ("ing", "e"), ("ed", "e"))
TITLE_WEIGHT = 3
MAX_TEXT = 1000
INDEX = Path("assets/semantic-search.json")
# These are left to the keyword search: the home page, and lists of what has pages of its own.
EXCLUDED = re.compile(r"$|changelog|api/(python|live|endpoints/(#(?!errors|samples)|$))")
ENDING = re.compile(r"(?<=...)(ations?|ments?|ings?|ions?|ed|es|s|e)$")
SETTING = re.compile(r"<code>([A-Z][A-Z0-9]*_[A-Z0-9_]+|DOMAIN|REPLICAS)</code>\*?")

# What people say, and what the pages say.
SYNONYMS = {
    term: meaning.split()
    for terms, meaning in {
        "vps host hosting hoster cloud ship publish live launch": "deploy server",
        "undo revert downgrade rollback roll broken bad": "rollback previous version deploy",
        "capacity throughput fast speed performance slow load traffic": "requests second capacity process",
        "scale grow bigger replicas": "servers processes scaling",
        "cors origin cross": "origins",
        "frontend front spa webpage": "client origins",
        "failure fail fails failed wrong exception crash": "error problem",
        "login signin logon": "sign authentication token",
        "logout signout": "sign sessions revoke",
        "signup": "create account register",
        "unauthorized unauthenticated": "access token sign error",
        "ban disable deactivate": "deactivate user",
        "expired expire expires lifetime": "valid lifetime token",
        "downtime outage": "losing deploy version request",
        "setup": "install installation start",
        "javascript js react node": "typescript client",
        "locked blocked attempts throttle throttling": "rate limit attempts",
        "admin administrator administration role": "superuser users",
        "laptop local locally pc computer": "machine start dev",
        "resource entity crud module": "domain feature",
        "column field attribute table": "model migration schema",
        "sdk library": "client typed generate",
        "tools requirements prerequisites": "install installation",
        "keys credentials secret secrets": "secrets deploy",
        "smtp mail mails": "email",
        "monitor monitoring metrics tracing observability": "traces logs opentelemetry",
        "twice duplicate again idempotent idempotency": "retry retries idempotency",
        "concurrent conflict overwrite simultaneously edit": "lost updates etag",
        "paging pages paginate pagination": "page cursor next lists",
        "https tls ssl certificate domain": "https domain certificate caddy",
        "dump copy": "backup",
        "env variables option options parameter config": "settings configuration variable",
        "database postgres db sql": "postgresql database",
        "pool connections": "pool connections",
    }.items()
    for term in terms.split()
}

STOP_WORDS = frozenset(
    WORD.findall(
        "a about all am an and any are as at be been but by can could do does for from get had has have "
        "how i if in into is it its just me more most my no not of off on one or our out over should so "
        "some such than that the their them then there these they this to up use used using want was we "
        "were what when where which who why will with without would you your "
        "add anything best change correct create different every everything find give go happen happens help like "
        "look make many mean means much must need new onto other possible put really run see set show something "
        "someone thing things tell try two want way work works"
    )
)


@dataclass(frozen=True)
class Vectors:
    """Word vectors of one byte per dimension.

    Args:
        dimensions: Length of a vector.
        rows: Position of each word.
        values: All vectors, one after another.
    """

    dimensions: int
    rows: dict[str, int]
    values: array[int]

    def find(self, word: str) -> tuple[int, ...] | None:
        """Return the vector of a word, or of a word it is derived from; None if unknown."""
        stems = [word[: -len(end)] + stem for end, stem in SUFFIXES if word.endswith(end)]
        for form in (word, *stems):
            if (row := self.rows.get(form)) is not None:
                start = row * self.dimensions
                return tuple(self.values[start : start + self.dimensions])
        return None


@cache
def load_vectors() -> Vectors:
    """Load the word vectors that this package contains."""
    content = json.loads(Path(__file__).with_name("word_vectors.json").read_text("utf-8"))
    rows = {word: row for row, word in enumerate(content["words"].split())}
    return Vectors(content["dimensions"], rows, array("b", base64.b64decode(content["vectors"])))


def write(site: Path) -> int:
    """Write the index of a built site.

    Args:
        site: Folder of the site, with the index of the keyword search.

    Returns:
        Size of the index, in bytes.
    """
    found = json.loads((site / "search.json").read_text("utf-8"))["items"]
    content = json.dumps(index(sections(found)), separators=(",", ":"))
    path = site / INDEX
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return len(content)


def sections(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sections to suggest, as plain text and with the title of their page.

    Args:
        found: Documents of the keyword search.
    """
    titles = {doc["location"]: doc["title"] for doc in found if "#" not in doc["location"]}
    kept = []
    for doc in found:
        page = doc["location"].partition("#")[0]
        if EXCLUDED.match(doc["location"]):
            continue
        prose = re.sub(r"<pre>.*?</pre>", " ", doc["text"], flags=re.DOTALL)
        # Each setting is a section, with its name as title.
        text, *settings = SETTING.split(prose) if "configuration/#" in doc["location"] else [prose]
        parts = [(doc["title"], text), *zip(settings[::2], settings[1::2], strict=True)]
        for title, content in parts:
            texts = {"title": title, "page": titles.get(page, ""), "text": content}
            plain = {name: _plain(value)[:MAX_TEXT] for name, value in texts.items()}
            kept.append({"location": doc["location"], **plain})
    return kept


def _plain(html: str) -> str:
    """Return HTML as plain text."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def words(text: str) -> list[str]:
    """Return the words of a text without stop words."""
    return [word for word in WORD.findall(text.lower()) if word not in STOP_WORDS]


def index(sections: list[dict[str, Any]]) -> dict[str, Any]:
    """Create the index.

    Args:
        sections: Sections with `location`, `title`, `page` and `text`.

    Returns:
        The stop words, the words with their vectors and weights, and the sections with their vectors.
        Vectors are bytes in base64.
    """
    vectors = load_vectors()
    counts = [
        Counter(words(section["text"]))
        + Counter(words(f"{section['title']} {section['page']} ") * TITLE_WEIGHT)
        for section in sections
    ]
    seen = Counter(word for text in counts for word in text)
    weights = {word: math.log(1 + len(counts) / count) for word, count in seen.items()}
    sums = [_sum(text, weights, vectors) for text in counts]
    # Words by their stems, those of the titles first.
    stems = {stem(word): None for text in counts for word in text}
    numbers = {word: number for number, word in enumerate(stems)}
    rare = Counter(one for text in counts for one in {stem(word) for word in text})
    packed = array("b", (value for vector in sums for value in _to_bytes(vector)))
    return {
        "dimensions": vectors.dimensions,
        "stopWords": sorted(STOP_WORDS),
        "words": " ".join(vectors.rows),
        "vectors": base64.b64encode(vectors.values.tobytes()).decode(),
        "weights": {word: round(weight, 2) for word, weight in weights.items()},
        "synonyms": SYNONYMS,
        "stems": " ".join(stems),
        "rarity": [round(math.log(1 + len(counts) / rare[word]), 2) for word in stems],
        "titles": [_numbers(f"{s['title']} {s['page']}", numbers) for s in sections],
        "texts": [_numbers(s["text"], numbers) for s in sections],
        "sections": [[s["location"], s["title"], s["page"]] for s in sections],
        "places": base64.b64encode(packed.tobytes()).decode(),
    }


def stem(word: str) -> str:
    """Return a word without its ending, so that `deploy` finds `deployment`."""
    return ENDING.sub("", word)


def _numbers(text: str, numbers: dict[str, int]) -> list[int]:
    return sorted({numbers[each] for each in map(stem, words(text))})


def _sum(text: Counter[str], weights: dict[str, float], vectors: Vectors) -> list[float]:
    total = [0.0] * vectors.dimensions
    for word, count in text.items():
        if vector := vectors.find(word):
            weight = weights[word] * math.sqrt(count)
            total = [value + weight * part for value, part in zip(total, vector, strict=True)]
    return total


def _to_bytes(vector: list[float]) -> list[int]:
    largest = max(map(abs, vector), default=0) or 1
    return [round(value / largest * 127) for value in vector]
