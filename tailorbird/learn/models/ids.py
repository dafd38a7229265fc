"""A table of ids (users or items): sorted, memory mapped, found by binary search."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

NAMES_KEPT = 50_000  # ids read or looked for lately

Arrays = dict[str, np.ndarray]


class Ids:
    """Distinct ids in byte order; position in the table is the number the models use."""

    def __init__(self, text: np.ndarray, offsets: np.ndarray) -> None:
        self._text = text
        self._offsets = offsets
        self._bytes = memoryview(np.ascontiguousarray(text).data).cast("B")
        self._bounds = np.ascontiguousarray(offsets).data  # indexed faster than the array
        self._read: dict[int, str] = {}
        self._found: dict[str, int] = {}

    @classmethod
    def of(cls, ids: Iterable[str]) -> "Ids":
        """The table of these ids, duplicates once."""
        encoded = sorted({one.encode() for one in ids})
        return cls(*_packed(encoded))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, position: int) -> str:
        return self._at(position).decode()

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def find(self, one: str) -> int:
        """The id's number, or -1."""
        known = self._found.get(one)
        if known is not None:
            return known
        wanted, count = one.encode(), len(self)
        place = bisect_left(range(count), wanted, key=self._at)
        if place == count or self._at(place) != wanted:
            return -1
        if len(self._found) >= NAMES_KEPT:
            self._found.clear()
        self._found[one] = place
        return place

    def names(self, numbers: Iterable[int]) -> list[str]:
        """The ids of these numbers."""
        read = self._read
        if len(read) > NAMES_KEPT:
            read.clear()
        return [read.get(n) or read.setdefault(n, self[n]) for n in numbers]

    def arrays(self) -> Arrays:
        return {"text": self._text, "offsets": self._offsets}

    def _at(self, position: int) -> bytes:
        bounds = self._bounds
        return bytes(self._bytes[bounds[position] : bounds[position + 1]])


def packed(values: list[str]) -> Arrays:
    """Strings in the order given as one byte array and their offsets (no pickle)."""
    text, offsets = _packed([value.encode() for value in values])
    return {"text": text, "offsets": offsets}


def unpacked(text: np.ndarray, offsets: np.ndarray) -> list[str]:
    """The strings that `packed` was given."""
    raw = text.tobytes()
    bounds = offsets.tolist()
    return [raw[a:b].decode() for a, b in pairwise(bounds)]


def _packed(encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets
