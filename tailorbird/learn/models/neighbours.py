"""Neighbours: items used by the same people (item kNN), people like this one (session kNN)."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tailorbird.learn.models.best import among_best
from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import History, Interactions, Recent
from tailorbird.learn.models.rows import Rows, distinct, fading, pair_counts
from tailorbird.learn.models.rules import lagged

KEEP = 200  # neighbours of an item
MAX_SET = 1_000  # rows of one user that count, newest first
MAX_PAIRS = 25_000_000  # item pairs looked at in a fit
SHRINK = 10.0
WINDOW = 40  # rows apart that still count as together
BACKWARD = 0.5  # what came before an item, against what came after it
NEWEST = 15  # items of a history whose lists are joined
NEWEST_DECAY = 0.75
SESSIONS = 100  # neighbour sessions that vote
SESSION_SAMPLE = 1_000  # newest sessions looked at
SESSION_LAST = 20  # newest items of a history that look for neighbours
VOTES = np.arange(SESSION_LAST, 0, -1)  # by place, the newest first
MARKS = 2.0 ** np.arange(SESSION_LAST - 1, -1, -1)  # a bit for each place
QUICK_PAIRS = 8_000_000  # of users and items: for so many, ones are kept that make sums quick
DENSE_USERS = 32  # times those found: of no more users than that, every one is counted


@dataclass
class ItemNeighbours:
    """Cosine of the users two items share, shrunk for rare pairs."""

    size: int
    rows: Rows
    decay: float = 0.9
    last: int = 50

    @classmethod
    def fit(
        cls,
        data: Interactions,
        discount: float = 0.5,
        min_pairs: int = 1,
        shrink: float = SHRINK,
        keep: int = KEEP,
    ) -> "ItemNeighbours":
        """`discount` is the exponent that damps popular items (0.5 is the cosine)."""
        sets = user_sets(data)
        together = (sets.T @ sets).tocsr()
        users = together.diagonal()
        together.setdiag(0)
        together.eliminate_zeros()
        left = np.repeat(np.arange(data.item_count), np.diff(together.indptr))
        count = together.data
        norm = users[left] ** 0.5 * users[together.indices] ** discount
        together.data = (count / (norm + shrink) * (count >= min_pairs)).astype(np.float32)
        together.eliminate_zeros()
        return cls(data.item_count, Rows.largest(together, keep))

    @classmethod
    def in_sequence(
        cls, data: Interactions, discount: float = 0.5, min_pairs: int = 1, keep: int = KEEP
    ) -> "ItemNeighbours":
        """Pairs of one user's rows count by how near they lie; what came before counts half."""
        after = None
        for lag in range(1, WINDOW + 1):
            left, right = lagged(data, lag)
            weights = data.weight[right] / lag**0.5
            some = pair_counts(data.item[left], data.item[right], weights, data.item_count)
            after = some if after is None else after + some
        assert after is not None
        together = (after + BACKWARD * after.T).tocsr()
        together.setdiag(0)
        if min_pairs > 1:
            together = together.multiply(_shared_by(data, min_pairs)).tocsr()
        together.eliminate_zeros()
        uses = np.bincount(data.item, minlength=data.item_count).astype(np.float64)
        left = np.repeat(np.arange(data.item_count), np.diff(together.indptr))
        norm = uses[left] ** 0.5 * uses[together.indices] ** discount
        together.data = (together.data / (norm + SHRINK)).astype(np.float32)
        return cls(data.item_count, Rows.largest(together, keep))

    def score(self, history: History) -> np.ndarray:
        return self.rows.add(history.recent(self.last), fading(self.decay, self.last), self.size)

    def beside_newest(self, history: History) -> np.ndarray:
        """The lists of a history joined, the newest counting most; no answer holds what was asked
        for, so nothing of the history is in it."""
        items = distinct(history.item[::-1])[:NEWEST]
        scores = self.rows.add(Recent.of(items), fading(NEWEST_DECAY, NEWEST), self.size)
        scores[history.item] = 0.0
        return scores

    def similar(self, item: int) -> np.ndarray:
        """This item's neighbours, over the whole catalogue."""
        scores = np.zeros(self.size, dtype=np.float32)
        columns, weights = self.rows.row(item)
        scores[columns] = weights
        return scores

    def arrays(self) -> Arrays:
        return self.rows.arrays() | {"size": np.array(self.size)}

    @classmethod
    def load(cls, arrays: Arrays) -> "ItemNeighbours":
        rows = Rows(arrays["starts"], arrays["columns"], arrays["weights"])
        return cls(int(arrays["size"]), rows)


@dataclass
class SessionNeighbours:
    """VSKNN: the newest users or sessions that share recent items vote with what they used."""

    size: int
    by_item: Rows  # item -> users, newest last
    by_user: Rows  # user -> items, weight = place in the history
    idf: np.ndarray

    @classmethod
    def fit(cls, data: Interactions) -> "SessionNeighbours":
        users = len(data.users)
        ends = np.full(users, -np.inf)
        filled = np.diff(data.offsets) > 0
        ends[filled] = data.time[data.offsets[1:][filled] - 1]
        age_rank = np.empty(users, dtype=np.int64)
        age_rank[np.argsort(ends, kind="stable")] = np.arange(users)
        sets = user_sets(data)
        turned = sets.tocsc()
        order = _sorted_within(turned.indptr, age_rank[turned.indices])
        by_item = Rows(
            turned.indptr.astype(np.int64), turned.indices[order].astype(np.int32), sets.data
        )
        by_user = Rows(sets.indptr.astype(np.int64), sets.indices.astype(np.int32), sets.data)
        seen = np.maximum(np.diff(turned.indptr), 1)
        idf = np.log(max(users, 2) / seen).astype(np.float32)
        return cls(data.item_count, by_item, by_user, idf)

    def score(self, history: History) -> np.ndarray:
        items = distinct(history.item[-SESSION_LAST:][::-1])
        if not len(items):
            return np.zeros(self.size, dtype=np.float32)
        people, voice = self._people(items)
        if not len(people):
            return np.zeros(self.size, dtype=np.float32)
        if self.by_user.quick:
            scores = self.by_user.sums(people[::-1], voice[::-1], self.size)
        else:
            scores = self.by_user.votes(people, voice, self.size)
        scores *= self.idf
        return scores

    def _people(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The users who share items most, by their numbers, and their voice: how strongly they
        share, less when the newest item they share lies far back."""
        count = len(self.by_user.starts) - 1
        sharing = self.by_item.starts[items + 1] - self.by_item.starts[items]
        found = int(np.minimum(sharing, SESSION_SAMPLE).sum())
        if self.by_item.quick and count <= DENSE_USERS * found:
            people, votes, nearest = self._counted(items, count)
        else:
            people, votes, nearest = self._sorted(items)
        return people, votes * (1.0 - 0.1 * np.minimum(nearest, 9)) / SESSION_LAST

    def _counted(self, items: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
        """With a place for every user: those who share most, their votes, the place of the newest
        item they share. That is the highest bit of what they have of the marks."""
        recent = Recent.of(items)
        votes, marks = (
            self.by_item.sums(recent.item, weights[recent.place], count, SESSION_SAMPLE)
            for weights in (VOTES, MARKS)
        )
        best = np.flatnonzero(votes > 0.0)
        best = best[among_best(votes[best], SESSIONS)]
        return best, votes[best], SESSION_LAST - np.frexp(marks[best])[1]

    def _sorted(self, items: np.ndarray) -> tuple[np.ndarray, ...]:
        """The same by the users found only."""
        who, sizes = self.by_item.columns_of(items, SESSION_SAMPLE)
        place = np.arange(len(items)).repeat(sizes)
        people, who = np.unique(who, return_inverse=True)
        votes = np.bincount(who, SESSION_LAST - place)
        nearest = np.empty(len(votes), dtype=np.int64)
        nearest[who[::-1]] = place[::-1]  # the last one stays
        best = among_best(votes, SESSIONS)
        return people[best], votes[best], nearest[best]

    def arrays(self) -> Arrays:
        return {
            "size": np.array(self.size),
            "idf": self.idf,
            "item_starts": self.by_item.starts,
            "item_users": self.by_item.columns,
            "user_starts": self.by_user.starts,
            "user_items": self.by_user.columns,
        }

    @classmethod
    def load(cls, arrays: Arrays) -> "SessionNeighbours":
        pairs = len(arrays["user_items"])
        ones = np.ones(pairs if pairs <= QUICK_PAIRS else 0, dtype=np.float32)
        by_item = Rows(arrays["item_starts"], arrays["item_users"], ones)
        by_user = Rows(arrays["user_starts"], arrays["user_items"], ones)
        return cls(int(arrays["size"]), by_item, by_user, arrays["idf"])


def _shared_by(data: Interactions, count: int) -> sparse.csr_matrix:
    """1 for each pair of items that `count` users have or more."""
    sets = user_sets(data)
    together = (sets.T @ sets).tocsr()
    together.data = (together.data >= count).astype(np.float32)
    together.eliminate_zeros()
    return together


def user_sets(data: Interactions) -> sparse.csr_matrix:
    """Users x items, 1 where the user's newest rows hold the item."""
    from_end = data.offsets[data.user + 1] - np.arange(len(data))
    rows = from_end <= _longest(np.diff(data.offsets))
    sets = sparse.csr_matrix(
        (np.ones(int(rows.sum()), dtype=np.float32), (data.user[rows], data.item[rows])),
        shape=(len(data.users), data.item_count),
    )
    sets.sum_duplicates()
    sets.data[:] = 1.0
    return sets


def _sorted_within(starts: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Positions that sort `key` inside each compressed row."""
    row = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return np.lexsort((key, row))


def _longest(lengths: np.ndarray) -> int:
    """Rows of one user that count, so that the pairs stay within bounds."""
    limit = MAX_SET
    while limit > 20 and (np.minimum(lengths, limit).astype(float) ** 2).sum() > MAX_PAIRS:
        limit = limit * 3 // 4
    return limit
