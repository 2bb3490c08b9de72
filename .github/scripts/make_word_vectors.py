# /// script
# requires-python = ">=3.12,<3.14"
# dependencies = ["numpy>=2", "wordllama==0.4.0.post1"]
# ///
"""Create `word_vectors.json`, the word vectors of the documentation's search suggestions.

The vectors are the static embeddings of wordllama (MIT), reduced to their most important dimensions. Run it by hand
when the list of words changes: uv run .github/scripts/make_word_vectors.py
"""

import base64
import json
import re
from pathlib import Path

import numpy as np
import wordllama
from wordllama import WordLlama

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "template/tooling/fastship_tooling/docs/word_vectors.json"
WORDS = 3000
DIMENSIONS = 80


def main() -> None:
    model = WordLlama.load(
        cache_dir=Path(wordllama.__file__).parent, disable_download=True, dim=256
    )
    technical = (HERE / "technical_words.txt").read_text().split()
    # The tokenizer lists its words roughly by frequency.
    pieces = sorted((number, piece) for piece, number in model.tokenizer.get_vocab().items())
    common = [piece[1:] for _, piece in pieces if re.fullmatch("▁[a-z]{3,}", piece)]
    words = list(dict.fromkeys([*technical, *common]))[:WORDS]
    vectors = model.embed(words)
    vectors -= vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(vectors, full_matrices=False)
    vectors = vectors @ axes[:DIMENSIONS].T
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    packed = np.round(vectors / np.abs(vectors).max() * 127).astype(np.int8)
    content = {
        "dimensions": DIMENSIONS,
        "words": " ".join(words),
        "vectors": base64.b64encode(packed.tobytes()).decode(),
    }
    TARGET.write_text(json.dumps(content) + "\n")
    print(f"Wrote {TARGET}: {len(words)} words, {TARGET.stat().st_size // 1024} KiB.")


if __name__ == "__main__":
    main()
