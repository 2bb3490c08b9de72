"""Suggestions by meaning: an index of word vectors that a browser searches by itself.

At build, each section of the site and each word that a reader may use gets a vector, from the static embeddings that
the package wordllama ships. In the browser (`docs/assets/meaning.js`) the vectors of a question's words are added up,
and the sections nearest to the sum are shown. It knows words, not sentences: their order counts for nothing.
"""

import base64
import json
import math
import re
from collections import Counter
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 48
NEAR_WORDS = 3000
"""Words that the site does not have, but that mean what one of its words does."""
WORD = re.compile(r"[a-z]{2,}")
TITLE_COUNTS = 3
MOST_TEXT = 600
INDEX = Path("assets/meaning.json")

# They say how something is asked, not what.
FILLERS = frozenset(
    [
        "a",
        "about",
        "all",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "do",
        "does",
        "for",
        "from",
        "get",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "me",
        "more",
        "most",
        "my",
        "no",
        "not",
        "of",
        "off",
        "on",
        "one",
        "or",
        "our",
        "out",
        "over",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "up",
        "use",
        "used",
        "using",
        "want",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "without",
        "would",
        "you",
        "your",
    ]
)

Vectors = NDArray[np.float32]


def write(site: Path) -> int:
    """Write the index of a built site.

    Args:
        site: Folder of the site; has the index of the plain search.

    Returns:
        Its size in bytes.
    """
    found = json.loads((site / "search/search_index.json").read_text("utf-8"))["docs"]
    content = json.dumps(index(sections(found)), separators=(",", ":"))
    path = site / INDEX
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return len(content)


def sections(found: list[dict[str, str]]) -> list[dict[str, str]]:
    """Give the sections that are worth suggesting: with the title of their page, and plain text.

    Args:
        found: The documents of the plain search.
    """
    pages = {doc["location"]: doc["title"] for doc in found if "#" not in doc["location"]}
    kept = []
    for doc in found:
        page = doc["location"].partition("#")[0]
        # What is written from code and history is for the plain search.
        if re.match(r"changelog|api/(endpoints|python|live)", page):
            continue
        text = unescape(re.sub(r"<pre>.*?</pre>|<[^>]+>", " ", doc["text"], flags=re.DOTALL))
        kept.append({**doc, "page": pages.get(page, ""), "text": text[:MOST_TEXT]})
    return kept


def words(text: str) -> list[str]:
    """Split a text into the words that say something. The browser does the same."""
    return [word for word in WORD.findall(text.lower()) if word not in FILLERS]


def index(sections: list[dict[str, str]]) -> dict[str, Any]:
    """Make the index.

    Args:
        sections: With `location`, `title`, `page` and `text`.

    Returns:
        Titles and places of the sections, the words, and vectors of both as bytes in base64.
    """
    texts = [
        Counter(words(section["text"]))
        + Counter(words(f"{section['title']} {section['page']} ") * TITLE_COUNTS)
        for section in sections
    ]
    seen = Counter(word for text in texts for word in text)
    own = sorted(seen)
    vectors, near = _embed(own)
    weights = {word: math.log(1 + len(texts) / count) for word, count in seen.items()}
    rows = {word: row for row, word in enumerate(own)}
    sums = np.array(
        [
            sum(
                (vectors[rows[w]] * weights[w] * math.sqrt(n) for w, n in text.items()),
                np.zeros(vectors.shape[1], np.float32),
            )
            for text in texts
        ]
    )
    typical = float(np.median(list(weights.values())))
    all_words = [*own, *near]
    all_vectors = np.array(
        [
            *(vectors[row] * weights[word] for row, word in enumerate(own)),
            *(vector * typical for vector in near.values()),
        ],
        np.float32,
    )
    return {
        "dimensions": vectors.shape[1],  # a small site has fewer
        "words": " ".join(all_words),
        "vectors": _packed(all_vectors, keep_length=True),
        "sections": [[s["location"], s["title"], s["page"]] for s in sections],
        "places": _packed(sums, keep_length=False),
    }


def _embed(own: list[str]) -> tuple[Vectors, dict[str, Vectors]]:
    """Give the vectors of the site's words, and of others that mean much the same."""
    import wordllama  # noqa: PLC0415
    from wordllama import WordLlama  # noqa: PLC0415

    # The weights are in the package; without this it would ask for them elsewhere.
    folder = Path(str(wordllama.__file__)).parent
    model = WordLlama.load(cache_dir=folder, disable_download=True, dim=256)
    vocabulary = [
        piece[1:]
        for piece in model.tokenizer.get_vocab()
        if re.fullmatch(r"▁[a-z]{3,}", piece) and piece[1:] not in FILLERS
    ]
    others = sorted(set(vocabulary) - set(own))
    known, other = model.embed(own), model.embed(others)
    # The directions in which the site's own words differ most, of the many that the model has.
    center = known.mean(axis=0)
    _, _, axes = np.linalg.svd(known - center, full_matrices=False)
    known, other = ((one - center) @ axes[:DIMENSIONS].T for one in (known, other))
    known, other = (
        one / (np.linalg.norm(one, axis=1, keepdims=True) + 1e-9) for one in (known, other)
    )
    nearest = (other @ known.T).max(axis=1)
    chosen = np.sort(np.argsort(-nearest)[:NEAR_WORDS])
    return known.astype(np.float32), {others[row]: other[row].astype(np.float32) for row in chosen}


def _packed(vectors: Vectors, *, keep_length: bool) -> str:
    """Write vectors as a byte for each number.

    Args:
        vectors: A row each.
        keep_length: Whether one scale serves all rows; otherwise each has its own.
    """
    scale = np.abs(vectors).max(axis=None if keep_length else 1, keepdims=True)
    bytes_ = np.round(vectors / (scale + 1e-9) * 127).astype(np.int8)
    return base64.b64encode(bytes_.tobytes()).decode()
