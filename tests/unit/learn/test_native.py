"""The library in C says of a blend what numpy says, but for how floats are rounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tailorbird.learn.models import engine, native
from tailorbird.learn.models.best import softmax
from tailorbird.learn.models.blend import Blend, Scorer
from tailorbird.learn.models.interactions import History, Interactions, interactions
from tailorbird.learn.models.neighbours import SESSION_LAST, SessionNeighbours
from tailorbird.learn.models.rows import Rows
from tailorbird.learn.models.rules import Rules

ROUNDING = 2e-5  # of the largest score
KINDS = ("view", "cart", "purchase")


@pytest.fixture(scope="module")
def library() -> native.Native:
    found = native.opened(wanted=True)
    if found is None:
        pytest.skip("the library was not built")
    return found


def random_walks(users: int, items: int, seed: int, longest: int = 60) -> Interactions:
    random = np.random.default_rng(seed)
    rows = [
        (f"u{user}", f"i{int(items * random.random() ** 2)}", 1e9 + 3_600.0 * n, KINDS[n % 3])
        for user in range(users)
        for n in range(int(random.integers(1, longest)))
    ]
    return interactions(*map(list, zip(*rows, strict=True)))  # type: ignore[arg-type]


def blend_of(data: Interactions, seed: int = 0) -> Blend:
    random = np.random.default_rng(seed)
    scorers: dict[str, Scorer] = {name: fit(data) for name, fit in engine.scorers(100).items()}
    return Blend(scorers, {name: float(random.uniform(0.1, 2.0)) for name in scorers}, 0.5)


def same(library: native.Native, blend: Blend, history: History, size: int) -> None:
    slowly = replace(blend, kernel=None).score(history)
    quickly = replace(blend, kernel=library.kernel(blend, size)).score(history)
    assert np.abs(slowly - quickly).max() <= ROUNDING * max(1.0, float(np.abs(slowly).max()))


@pytest.mark.parametrize(("users", "items"), [(40, 12), (300, 90), (1_500, 40), (5, 900)])
def test_a_blend_is_added_up_to_the_same(library: native.Native, users: int, items: int) -> None:
    data = random_walks(users, items, seed=users)
    blend = blend_of(data)
    assert library.kernel(blend, data.item_count).names == {
        name for name in blend.weights if not name.startswith("popular")
    }
    for user in range(0, users, max(1, users // 25)):
        history = data.history(user, now=1e9 + 5e5)
        for known in (history, history.last(1), replace(history, now=0.0)):
            same(library, blend, known, data.item_count)


def test_every_scorer_alone_says_the_same(library: native.Native) -> None:
    data = random_walks(200, 50, seed=4)
    blend = blend_of(data)
    for name in blend.weights:
        for user in range(0, 200, 9):
            same(library, replace(blend, weights={name: 1.3}), data.history(user), data.item_count)


def test_one_call_leaves_nothing_behind_for_the_next(library: native.Native) -> None:
    data = random_walks(100, 60, seed=2)
    blend = blend_of(data)
    blend.kernel = library.kernel(blend, data.item_count)
    first = blend.score(data.history(0))
    for user in range(1, 100):
        blend.score(data.history(user))
    assert np.array_equal(blend.score(data.history(0)), first)


def test_nobody_and_a_catalogue_of_one_item(library: native.Native) -> None:
    data = random_walks(30, 20, seed=1)
    nobody = History(np.zeros(0, dtype=np.int32), np.zeros(0), np.zeros(0, dtype=np.int16), now=1e9)
    same(library, blend_of(data), nobody, data.item_count)
    single = interactions(["a", "a", "b"], ["i", "i", "i"], [1.0, 2.0, 3.0], ["view"] * 3)
    for known in (nobody, single.history(0), single.history(1)):
        same(library, blend_of(single), known, 1)


def test_of_people_who_share_as_much_the_same_are_listened_to(library: native.Native) -> None:
    size, people = 40, 900
    random = np.random.default_rng(3)
    held = [np.sort(random.choice(size, 3, replace=False)) for _ in range(people)]
    had = [np.flatnonzero([item in one for one in held]) for item in range(size)]
    scorer = SessionNeighbours(size, _rows(had), _rows(held), np.ones(size, dtype=np.float32))
    for n in range(20):
        item = random.integers(0, size, size=SESSION_LAST + n).astype(np.int32)
        history = History(item, np.arange(len(item)) + 1.0, np.zeros(len(item), np.int16), 99.0)
        same(library, Blend({"sessions": scorer, "popular": _even(size)}, {"sessions": 1.0}),
             history, size)  # fmt: skip


def test_a_history_of_other_types_is_read_and_one_of_unknown_items_is_refused_as_before(
    library: native.Native,
) -> None:
    data = random_walks(30, 20, seed=1)
    blend = blend_of(data)
    known = data.history(3)
    wide = History(known.item.astype(np.int64)[::-1], known.time[::-1], known.kind, known.now)
    same(library, blend, wide, data.item_count)
    blend.kernel = library.kernel(blend, data.item_count)
    for item in (-7_000_000, data.item_count, 2**31 - 1):
        beyond = replace(known, item=np.array([item], dtype=np.int32), time=known.time[:1],
                         kind=known.kind[:1])  # fmt: skip
        with pytest.raises(IndexError):
            blend.score(beyond)


@pytest.mark.parametrize("harm", ["column", "below", "start", "backwards", "short", "weights"])
def test_a_damaged_model_is_not_given_to_the_library(library: native.Native, harm: str) -> None:
    rows = _rows([np.array([0, 1]), np.array([2]), np.array([1])])
    if harm in ("column", "below"):
        rows.columns[1] = 3 if harm == "column" else -1
    elif harm == "start":
        rows.starts[-1] = 9
    elif harm == "backwards":
        rows.starts[1:3] = [4, 2]
    elif harm == "short":
        rows.starts = rows.starts[:-1]
    else:
        rows.weights = rows.weights[:-1]
    scorers: dict[str, Scorer] = {"rules": Rules(3, rows, 5, 0.7), "popular": _even(3)}
    assert library.kernel(Blend(scorers, {"rules": 1.0}), 3).names == frozenset()


def test_shares_add_up_to_the_same(library: native.Native) -> None:
    random = np.random.default_rng(0)
    for size in (1, 3, 511, 512, 513, 13_000):
        for width in (0.0, 0.01, 3.0, 80.0, 1e4):
            scores = (width * random.normal(size=size)).astype(np.float32)
            highest, total = library.softmax(scores)
            assert highest == scores.max()
            assert total == pytest.approx(softmax(scores)[1], rel=1e-6)
    assert library.softmax(scores.astype(np.float64)) == softmax(scores.astype(np.float64))


@pytest.mark.parametrize("why", ["missing", "of another source", "no library", "switched off"])
def test_without_the_library_there_is_none(
    tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("int changed;")
    if why == "of another source":
        monkeypatch.setattr(native, "SOURCES", [*native.SOURCES, other])
    elif why != "switched off":
        monkeypatch.setattr(native, "LIBRARY", other if why == "no library" else tmp_path / "none")
    assert native.opened(wanted=why != "switched off") is None


def _rows(every: list[np.ndarray]) -> Rows:
    starts = np.cumsum([0, *map(len, every)]).astype(np.int64)
    columns = np.concatenate(every).astype(np.int32)
    return Rows(starts, columns, np.ones(len(columns), dtype=np.float32))


def _even(size: int) -> Scorer:
    from tailorbird.learn.models.popular import Popular

    return Popular(np.zeros(size, dtype=np.float32))
