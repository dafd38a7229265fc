"""People without a history: what others began with, and what people of the same attributes take.

Both are logarithms of how much likelier an item is there than at large, shrunk for rare items.
What each counts is chosen on users kept out, newest first, and is nothing unless it helps there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from tailorbird.learn.models.best import top
from tailorbird.learn.models.context import SHRINK, Context
from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.scores import DISCOUNT

BEGINNINGS = (3, 10)  # first rows of a user that may count as a beginning
WEIGHTS = (0.25, 0.5, 0.75, 1.0)
NEW_SHARE = 0.2  # of the users, those who came last, are kept out to choose weights
MAX_CASES = 500
MAX_SCORES = 20_000_000  # cases times items
FEWEST_CASES = 25
TARGETS = 5  # first items of a user kept out
ERRORS = 2.0  # standard errors that a gain has to be worth
BANDS = 5  # of a column of numbers, with as many people each
Record = Mapping[str, Any]


Cells = Mapping[str, Sequence[Any]]  # column -> what is known of each user, None for nothing


@dataclass(frozen=True)
class Choice:
    """How many first rows are a beginning, and what it and the attributes count."""

    rows: int = BEGINNINGS[0]
    begins: float = 0.0
    attributes: float = 0.0


@dataclass
class People:
    """What is added to the score of every item for somebody without a history."""

    begins: np.ndarray  # by item
    weight: float = 0.0  # of the attributes
    columns: dict[str, Context] = field(default_factory=dict)
    bands: dict[str, np.ndarray] = field(default_factory=dict)  # inner bounds of numbers

    def parts(self, record: Record) -> dict[str, np.ndarray]:
        """What each thing known of somebody adds."""
        found = {"what people begin with": self.begins} if self.begins.any() else {}
        for name, column in self.columns.items():
            values = _values(record.get(name), self.bands.get(name))
            lifts = [one for value in values if (one := column.lift(value)) is not None]
            if lifts:
                mean = np.mean(lifts, axis=0) * np.float32(self.weight)
                found[f"{name} {record[name]}"] = mean
        return found

    def lift(self, record: Record) -> np.ndarray:
        total = np.zeros(len(self.begins), dtype=np.float32)
        for part in self.parts(record).values():
            total += part
        return total

    def arrays(self) -> Arrays:
        found: Arrays = {"begins": self.begins, "weight": np.array(self.weight)}
        found |= {f"{name}.bands": bounds for name, bounds in self.bands.items()}
        for name, column in self.columns.items():
            found |= {f"{name}.{part}": array for part, array in column.arrays().items()}
        return found

    @classmethod
    def load(cls, arrays: Arrays) -> People:
        grouped: dict[str, Arrays] = {}
        for key, array in arrays.items():
            name, dot, part = key.rpartition(".")
            if dot:
                grouped.setdefault(name, {})[part] = array
        bands = {name: one.pop("bands") for name, one in grouped.items() if "bands" in one}
        columns = {name: Context.load(one) for name, one in grouped.items()}
        return cls(np.asarray(arrays["begins"]), float(arrays["weight"]), columns, bands)


def fit(data: Interactions, cells: Cells, choice: Choice) -> People | None:
    """The chosen parts counted over all rows; None when nothing was chosen."""
    if not (choice.begins or choice.attributes):
        return None
    begins = _begins(data, choice.rows) * np.float32(choice.begins)
    if not choice.attributes:
        return People(begins)
    bands = {name: bounds for name in cells if (bounds := _bands(cells[name])) is not None}
    columns = {name: _column(data, cells[name], bands.get(name)) for name in cells}
    known = {name: column for name, column in columns.items() if len(column.values) > 1}
    return People(begins, choice.attributes, known, bands)


def choose(
    data: Interactions, cells: Cells, base: Callable[[Interactions], np.ndarray], seed: int
) -> tuple[Choice, dict[str, float]]:
    """What helps those who came last, from rows without theirs, and how much (mean NDCG@25).

    `base` is what everybody without a history gets from a model of some rows.
    """
    keep, users = _kept_out(data, seed)
    if len(users) < FEWEST_CASES or not keep.any():
        return Choice(), {"users": float(len(users))}
    rest = data.keep(keep)
    plain = base(rest)
    unit = _unit(rest, plain)
    targets = [_first(data, int(user)) for user in users]
    none = np.zeros(len(plain), dtype=np.float32)
    best, reached = Choice(), _qualities(plain, none, [], targets)
    told = {"users": float(len(users)), "popularity": _mean(reached)}
    for rows in BEGINNINGS:
        found = _begins(rest, rows)
        for weight in WEIGHTS:
            tried = _qualities(plain, found * np.float32(weight * unit), [], targets)
            if _better(tried, reached):
                best, reached = Choice(rows, weight * unit), tried
    told["begins"] = _mean(reached)
    begins = _begins(rest, best.rows) * np.float32(best.begins)
    known = fit(rest, cells, Choice(best.rows, 0.0, 1.0)) if cells else None
    if known is not None and known.columns:
        records = [{name: cells[name][user] for name in cells} for user in users.tolist()]
        lifts = [known.lift(record) for record in records]
        for weight in WEIGHTS:
            scaled = [lift * np.float32(weight * unit) for lift in lifts]
            tried = _qualities(plain, begins, scaled, targets)
            if _better(tried, reached):
                best, reached = Choice(best.rows, best.begins, weight * unit), tried
        told["attributes"] = _mean(reached)
    return best, told


def _kept_out(data: Interactions, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to count (a mask) and users to ask for: the newest, from rows before they came.

    Where that leaves less than half of the rows, some users by chance, and the rows of the others.
    """
    users = np.flatnonzero(np.diff(data.offsets) > 0)
    most = min(MAX_CASES, max(MAX_SCORES // max(data.item_count, 1), FEWEST_CASES))
    count = min(most, round(NEW_SHARE * len(users)))
    if not count:
        return np.ones(len(data), dtype=bool), users[:0]
    came = data.time[data.offsets[users]]
    newest = users[np.argsort(-came, kind="stable")[:count]]
    keep = data.time < float(data.time[data.offsets[newest]].min())
    if keep.sum() >= 0.5 * len(data):
        return keep, np.sort(newest)
    chosen = np.random.default_rng(seed).choice(users, size=count, replace=False)
    return ~np.isin(data.user, chosen), np.sort(chosen)


def _first(data: Interactions, user: int) -> np.ndarray:
    start, stop = int(data.offsets[user]), int(data.offsets[user + 1])
    return np.unique(data.item[start : min(stop, start + TARGETS)])


def _begins(data: Interactions, rows: int) -> np.ndarray:
    """How much likelier an item is among the first rows of people than at large."""
    first = np.arange(len(data)) - data.offsets[data.user] < rows
    uses = np.bincount(data.item, minlength=data.item_count) + SHRINK
    begun = np.bincount(data.item[first], minlength=data.item_count)
    share = max(float(first.mean()), 1e-9) if len(first) else 1.0
    return np.log((begun + SHRINK * share) / (uses * share)).astype(np.float32)


def _column(data: Interactions, cells: Sequence[Any], bounds: np.ndarray | None) -> Context:
    """How often people of each value took each item."""
    numbers: dict[str, int] = {}
    pairs = [
        (user, numbers.setdefault(value, len(numbers)))
        for user, cell in enumerate(cells)
        for value in _values(cell, bounds)
    ]
    user, value = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shape = (len(data.users), max(len(numbers), 1))
    known = sparse.csr_matrix((np.ones(len(user), dtype=np.float32), (user, value)), shape)
    of_row = known[data.user]
    row, place = of_row.nonzero()
    return Context.of(list(numbers), place, data.item[row], data.item_count)


def _values(cell: Any, bounds: np.ndarray | None) -> list[str]:
    """The values that a cell stands for: a band of numbers, or the parts of a text."""
    if cell is None or cell == "":
        return []
    if bounds is None:
        return [part for part in str(cell).split("|") if part]
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return []
    return [] if np.isnan(number) else [str(int(np.searchsorted(bounds, number)))]


def _bands(cells: Sequence[Any]) -> np.ndarray | None:
    """Inner bounds of a column of numbers; None for texts."""
    given = [cell for cell in cells if cell is not None]
    if not given or isinstance(given[0], str):
        return None
    return np.unique(np.quantile(given, np.arange(1, BANDS) / BANDS))


def _unit(data: Interactions, plain: np.ndarray) -> float:
    """What a factor of e in how often an item is taken is worth in the scores."""
    counts = np.log1p(np.bincount(data.item, minlength=data.item_count))
    spread = float(counts.std())
    return float(plain.std()) / spread if spread > 0 else 0.0


def _qualities(
    plain: np.ndarray, begins: np.ndarray, lifts: list[np.ndarray], targets: list[np.ndarray]
) -> np.ndarray:
    """NDCG@25 of every user's list."""
    same = plain + begins
    shared = None if lifts else top(same, len(DISCOUNT))
    found = np.zeros(len(targets))
    for n, wanted in enumerate(targets):
        shown = top(same + lifts[n], len(DISCOUNT)) if shared is None else shared
        hits = np.isin(shown, wanted)
        found[n] = (hits * DISCOUNT[: len(shown)]).sum() / DISCOUNT[: len(wanted)].sum()
    return found


def _better(tried: np.ndarray, reached: np.ndarray) -> bool:
    """Whether the mean is greater by more than chance explains."""
    gain = tried - reached
    return float(gain.mean()) > ERRORS * float(gain.std()) / max(len(gain), 1) ** 0.5


def _mean(qualities: np.ndarray) -> float:
    return round(float(qualities.mean()), 4)
