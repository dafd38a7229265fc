"""What items say of themselves as vectors: words of names and texts, and categories.

TF-IDF of words, their stems and categories, then a truncated SVD (latent semantic analysis), numpy
and scipy only. It knows a language by the catalogue it is fitted on, and no other.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tailorbird.learn.models.ids import Arrays, Ids

NAME, TEXTUAL, CATEGORICAL = "name", "textual", "categorical"
MAX_VOCABULARY = 30_000
MAX_SHARE = 0.5  # words in more than half of the texts say nothing
NAME_COUNTS = 2.0
STEM_CHARACTERS = 5
STEM_COUNTS = 0.5
MAX_WORDS = 2_000  # of one text
POWER_STEPS = 3
SPARE = 10
WORD = re.compile(r"\w+")
TAG = re.compile(r"<[^>]{0,200}>")

Record = Mapping[str, str | float]


@dataclass
class Texts:
    """A fitted vocabulary and the directions its words span."""

    vocabulary: Ids
    idf: np.ndarray
    components: np.ndarray  # [word, dimension]
    roles: dict[str, str]  # column -> name, textual or categorical

    @classmethod
    def fit(cls, records: Sequence[Record], roles: Mapping[str, str], size: int) -> "Texts":
        """Learn the words of these records; `size` is the most dimensions."""
        counts = [tokens(record, roles) for record in records]
        seen: Counter[str] = Counter()
        for one in counts:
            seen.update(one.keys())
        least = 2 if len(records) > 50 else 1
        most = max(MAX_SHARE * len(records), 2)
        kept = [word for word, count in seen.most_common() if least <= count <= most]
        vocabulary = Ids.of(kept[:MAX_VOCABULARY])
        documents = np.array([seen[word] for word in vocabulary], dtype=np.float64)
        idf = np.log((1 + len(records)) / (1 + documents)) + 1.0
        found = cls(vocabulary, idf, np.zeros((len(vocabulary), 0)), dict(roles))
        matrix = found._matrix(counts)
        found.components = directions(matrix, size).astype(np.float32)
        return found

    def vectors(self, records: Iterable[Record]) -> np.ndarray:
        """A vector of length 1 for each record; zeros where no word is known."""
        matrix = self._matrix([tokens(record, self.roles) for record in records])
        found = np.asarray(matrix @ self.components, dtype=np.float32)
        return unit(found)

    def _matrix(self, counts: Sequence[Mapping[str, float]]) -> sparse.csr_matrix:
        place = {word: n for n, word in enumerate(self.vocabulary)}
        starts, columns, values = [0], [], []
        for one in counts:
            for word, count in one.items():
                if word in place:
                    columns.append(place[word])
                    values.append((1.0 + np.log(count)) if count > 1 else count)
            starts.append(len(columns))
        shape = (len(counts), len(place))
        matrix = sparse.csr_matrix((values, columns, starts), shape=shape, dtype=np.float64)
        matrix = matrix.multiply(self.idf[None, :]).tocsr()
        length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        return (sparse.diags(1.0 / np.maximum(length, 1e-12)) @ matrix).tocsr()

    def arrays(self) -> Arrays:
        ids = {f"ids_{part}": array for part, array in self.vocabulary.arrays().items()}
        return ids | {"idf": self.idf, "components": self.components}

    @classmethod
    def load(cls, arrays: Arrays, roles: dict[str, str]) -> "Texts":
        vocabulary = Ids(arrays["ids_text"], arrays["ids_offsets"])
        return cls(vocabulary, arrays["idf"], arrays["components"], roles)


def tokens(record: Record, roles: Mapping[str, str]) -> dict[str, float]:
    """How much each word, stem and category of a record counts."""
    found: dict[str, float] = {}
    for column, role in roles.items():
        text = str(record.get(column, "") or "")
        if role == CATEGORICAL:
            for part in filter(None, text.split("|")):
                found[f"{column}={part.lower()}"] = 1.0
            continue
        weight = NAME_COUNTS if role == NAME else 1.0
        for word in WORD.findall(TAG.sub(" ", text).lower())[:MAX_WORDS]:
            if len(word) < 2:
                continue
            found[word] = found.get(word, 0.0) + weight
            if len(word) > STEM_CHARACTERS:
                stem = f"{word[:STEM_CHARACTERS]}~"
                found[stem] = found.get(stem, 0.0) + STEM_COUNTS * weight
    return found


def directions(matrix: sparse.csr_matrix, size: int) -> np.ndarray:
    """The leading right singular vectors, by random projection and power steps: [column, size]."""
    size = min(size, min(matrix.shape))
    if size < 1:
        return np.zeros((matrix.shape[1], 0))
    random = np.random.default_rng(0)
    spread = min(size + SPARE, min(matrix.shape))
    base = np.asarray(matrix @ random.standard_normal((matrix.shape[1], spread)))
    for _ in range(POWER_STEPS):
        base, _ = np.linalg.qr(base)
        base = np.asarray(matrix @ (matrix.T @ base))
    base, _ = np.linalg.qr(base)
    _, _, right = np.linalg.svd(np.asarray(base.T @ matrix), full_matrices=False)
    return right[:size].T


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay."""
    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return (vectors / np.maximum(length, 1e-9)).astype(np.float32)
