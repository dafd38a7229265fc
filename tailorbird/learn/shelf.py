"""The shelf: every item an answer may hold, those of the model and those that came since.

Model items have the model's numbers; items only the Items dataset knows (cold ones) come behind.
A cold item scores what known items with its categories score on average.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from tailorbird.learn.artifacts import Trained
from tailorbird.learn.filters import mask
from tailorbird.learn.filters.grammar import Condition, Literal
from tailorbird.learn.metadata import Record, Table, Text
from tailorbird.learn.models import young
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.room import Learn

SHELVES_KEPT = 16
PASSING_BYTES = 32 * 1024 * 1024  # of what filters let by, kept with each shelf


@dataclass
class Shelf:
    """The items of one model and one Items dataset, at one moment."""

    trained: Trained
    table: Table | None
    row: np.ndarray  # of each item: its row in the table (the one without values for none)
    cold: list[str]
    seen: int = 0  # added records of the table taken in
    revision: int = -1
    ages: np.ndarray | None = field(default=None, repr=False)  # days; exploration fills it in
    cold_vectors: np.ndarray | None = field(default=None, repr=False)  # related.py fills it in
    _numbers: dict[str, int] | None = field(default=None, repr=False)
    _passing: dict[tuple[Any, ...], np.ndarray] = field(default_factory=dict, repr=False)
    _content: Content | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.trained.items) + len(self.cold)

    def id(self, number: int) -> str:
        known = len(self.trained.items)
        return self.trained.items[number] if number < known else self.cold[number - known]

    def names(self, numbers: list[int]) -> list[str]:
        """The ids of these items."""
        known = len(self.trained.items)
        if not self.cold or max(numbers, default=0) < known:
            return self.trained.items.names(numbers)
        return [self.id(n) for n in numbers]

    def find(self, one: str) -> int:
        """The number of an item, -1 when nobody knows it."""
        number = self.trained.items.find(one)
        if number >= 0 or not self.cold:
            return number
        return self.numbers.get(one, -1)

    @property
    def numbers(self) -> dict[str, int]:
        """The number of every item."""
        if self._numbers is None:
            found = {one: n for n, one in enumerate(self.trained.items)}
            self._numbers = found | {one: len(found) + n for n, one in enumerate(self.cold)}
        return self._numbers

    def record(self, one: str) -> Record:
        return {} if self.table is None else self.table.record(one)

    def passing(self, condition: Condition, wanted: tuple[Literal, ...]) -> np.ndarray:
        """For which items a condition on their metadata holds, and behind them whether it does for
        an item nobody knows. Not to be written to: it is kept as long as the shelf."""
        key = (condition.field, condition.sign, wanted)
        found = self._passing.get(key)
        if found is None:
            found = np.zeros(len(self) + 1, dtype=bool)
            if self.table is not None:
                rows = mask.of_table(self.table, condition, wanted)
                found[:-1] = rows[self.row]
                found[-1] = rows[len(self.table.ids)]
            if (len(self._passing) + 1) * len(found) > PASSING_BYTES:
                self._passing.clear()
            found.flags.writeable = False
            self._passing[key] = found
        return found

    def widened(self, scores: np.ndarray) -> np.ndarray:
        """The model's scores with one for every cold item."""
        if not self.cold:
            return scores
        return np.concatenate([scores, self.content.expected(scores)])

    def beside(self, one: str) -> np.ndarray | None:
        """Likeness of every item to an item the model does not know; None without categories."""
        if self.table is None:
            return None
        found = self.content.likeness(self.table.record(one))
        return found if found.any() else None

    @property
    def content(self) -> Content:
        if self._content is None:
            assert self.table is not None
            self._content = Content.of(self.table, self.row, len(self.trained.items))
        return self._content


@dataclass
class Content:
    """Which item has which category."""

    parts: dict[tuple[str, str], int]
    known: sparse.csr_matrix  # model items x parts
    cold: sparse.csr_matrix
    turned: sparse.csr_matrix  # parts x model items
    count: np.ndarray  # model items of each part
    having: np.ndarray  # parts of each cold item

    @classmethod
    def of(cls, table: Table, row: np.ndarray, known: int) -> Content:
        columns = [column.name for column in table.schema.columns if column.categorical]
        texts = [(name, table.columns[name]) for name in columns if name in table.columns]
        parts: dict[tuple[str, str], int] = {}
        blocks = []
        for name, column in texts:
            assert isinstance(column, Text)
            start = len(parts)
            for part in column.parts:
                parts[name, part] = len(parts)
            blocks.append(_rows_by_parts(column, start, name, parts))
        every = (
            sparse.hstack(blocks, format="csr")
            if blocks
            else sparse.csr_matrix((len(table.ids), 0), dtype=np.float32)
        )
        beside = sparse.csr_matrix((1, every.shape[1]), dtype=np.float32)
        new = [_encoded(record, columns, parts) for record in table.records]
        every = sparse.vstack([every, beside, *new], format="csr")
        cold = set(row[known:].tolist())
        for changed, record in table.changed.items():
            if changed in cold:
                every = _replaced(every, changed, _encoded(record, columns, parts))
        of_known, of_cold = every[row[:known]], every[row[known:]]
        count = np.asarray(of_known.sum(axis=0)).ravel()
        having = np.asarray(of_cold.sum(axis=1)).ravel()
        return cls(parts, of_known, of_cold, of_known.T.tocsr(), count, having)

    def expected(self, scores: np.ndarray) -> np.ndarray:
        """The mean score of known items in a cold item's categories; the least without any."""
        return young.expected(scores, self.turned, self.cold, self.count, self.having)

    def likeness(self, record: Record) -> np.ndarray:
        """Cosine of shared categories, rare ones counting more, over all items."""
        rare = np.log1p(self.known.shape[0] / (self.count + 1.0))
        wanted = np.zeros(len(self.parts))
        for name, value in record.items():
            for part in str(value).split("|"):
                if (name, part) in self.parts:
                    wanted[self.parts[name, part]] = rare[self.parts[name, part]]
        every = sparse.vstack([self.known, self.cold], format="csr")
        size = np.sqrt(np.asarray(every @ (rare**2)).ravel())
        return (np.asarray(every @ (wanted * rare)).ravel() / np.maximum(size, 1e-9)).astype(
            np.float32
        )


def of(room: Learn, version_arn: str, trained: Trained, table: Table | None) -> Shelf:
    """The model's shelf as of now."""
    shelf = room.shelves.get(version_arn)
    if shelf is not None and shelf.trained is trained and shelf.table is table:
        if table is None or shelf.revision == table.revision:
            return shelf
        shelf = _followed(shelf, table)
    else:
        shelf = _built(trained, table)
    while len(room.shelves) >= SHELVES_KEPT:
        room.shelves.pop(next(iter(room.shelves)), None)
    room.shelves[version_arn] = shelf
    return shelf


def popular(shelf: Shelf) -> np.ndarray:
    """Popularity over the shelf; the fallback of everything that is not known."""
    blend = shelf.trained.blend
    scorer = blend.scorers[blend.fallback]
    assert isinstance(scorer, Popular)
    return shelf.widened(np.asarray(scorer.scores))


def _built(trained: Trained, table: Table | None) -> Shelf:
    if table is None:
        return Shelf(trained, None, np.zeros(len(trained.items), dtype=np.int64), [])
    where = {one: n for n, one in enumerate(table.ids)}
    missing = len(table.ids)
    known = {one: n for n, one in enumerate(trained.items)}
    row = [where.get(one, missing) for one in known]
    cold = [one for one in where if one not in known]
    row += [where[one] for one in cold]
    base = Shelf(trained, table, np.array(row, dtype=np.int64), cold, 0, -1)
    return _followed(base, table)


def _followed(shelf: Shelf, table: Table) -> Shelf:
    """The shelf with the records put since; the old one is left as it is."""
    revision = table.revision
    row, cold = shelf.row, shelf.cold
    added = table.added[shelf.seen :]
    if added:
        row, cold = row.copy(), list(cold)
        more = []
        for n, one in enumerate(added, shelf.seen):
            place = len(table.ids) + 1 + n
            number = shelf.trained.items.find(one)
            if number >= 0:
                row[number] = place
            else:
                cold.append(one)
                more.append(place)
        row = np.concatenate([row, np.array(more, dtype=np.int64)])
    return Shelf(shelf.trained, table, row, cold, shelf.seen + len(added), revision)


def _rows_by_parts(
    column: Text, start: int, name: str, parts: dict[tuple[str, str], int]
) -> sparse.csr_matrix:
    width = len(column.parts)
    pairs = [
        (code, parts[name, part] - start) for part, codes in column.parts.items() for code in codes
    ]
    code, part = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    values = sparse.csr_matrix(
        (np.ones(len(code), dtype=np.float32), (code, part)), shape=(len(column.values) + 1, width)
    )
    return values[column.codes]  # code -1 reads the empty last row


def _encoded(
    record: Record, columns: list[str], parts: dict[tuple[str, str], int]
) -> sparse.csr_matrix:
    having = {
        parts[name, part]
        for name in columns
        for part in str(record.get(name, "")).split("|")
        if (name, part) in parts
    }
    found = sorted(having)
    return sparse.csr_matrix(
        (np.ones(len(found), dtype=np.float32), ([0] * len(found), found)), shape=(1, len(parts))
    )


def _replaced(matrix: sparse.csr_matrix, row: int, values: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.vstack([matrix[:row], values, matrix[row + 1 :]], format="csr")
