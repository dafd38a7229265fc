"""The models against their definitions, written out slowly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import sparse

from tailorbird.learn import evaluation
from tailorbird.learn.artifacts import NO_HISTORY
from tailorbird.learn.models import linear, rows
from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import LATER_GAIN, Case, hold_out
from tailorbird.learn.models.ids import Ids, packed, unpacked
from tailorbird.learn.models.interactions import SECONDS_PER_DAY, History, interactions
from tailorbird.learn.models.neighbours import ItemNeighbours, SessionNeighbours
from tailorbird.learn.models.personal import Personal, Repeat
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.models.rules import Rules
from tailorbird.learn.models.scores import Ranked, honest_metrics, personalize_metrics
from tailorbird.learn.models.search import search
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import Options

from .conftest import chains


def of(*users: str):
    """Interactions of users who each did these items in order: of("ab", "bc")."""
    rows = [(f"u{n}", item, t) for n, items in enumerate(users) for t, item in enumerate(items)]
    return interactions([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def history(data, items: str, times: list[float] | None = None) -> History:
    numbers = np.array([data.items.find(one) for one in items], dtype=np.int32)
    when = np.array(times if times else range(len(items)), dtype=np.float64)
    return History(numbers, when, np.zeros(len(items), dtype=np.int16), float(when[-1]))


def best(data, scorer, items: str) -> str:
    return data.items[int(np.argmax(scorer.score(history(data, items))))]


def dense(model: linear.Linear) -> np.ndarray:
    size = model.size
    found = np.zeros((size, size))
    for item in range(size):
        columns, weights = model.rows.row(item)
        found[item, columns] = weights
    return found


def random_walks(seed: int = 3):
    randomly = np.random.default_rng(seed)
    items = "abcdefgh"
    return of(*("".join(randomly.choice(list(items), size=25)) for _ in range(30)))


def test_rows_that_weigh_alike_are_counted_once_and_give_the_same_model():
    data = of("abcabdacbd", "bcadabcd", "cdabdcab")
    nearly = np.ones(len(data), dtype=np.float32)
    nearly[0] = np.nextafter(np.float32(1.0), np.float32(2.0))
    asked = history(data, "abd")
    quick = linear.linseq(data, 100, ridge=2.0).score(asked)
    slow = linear.linseq(replace(data, weight=nearly), 100, ridge=2.0).score(asked)
    assert np.allclose(quick, slow, atol=1e-5) and np.abs(quick).max() > 0.05


def test_linseq_is_the_ridge_regression_it_says_it_is():
    data = random_walks()
    decay, ridge, labels = 0.7, 5.0, 3
    found = linear.linseq(data, 100, decay=decay, ridge=ridge, labels=labels)
    size = data.item_count
    gram, target = ridge * np.eye(size), np.zeros((size, size))
    for user in range(len(data.users)):
        items = data.history(user).item
        state = np.zeros(size)
        for place, item in enumerate(items):
            state = decay * state
            state[item] += 1
            gram += np.outer(state, state)
            for following in items[place + 1 : place + 1 + labels]:
                target[:, following] += state
    expected = np.linalg.solve(gram, target)
    assert np.allclose(dense(found), expected, atol=0.02)  # lags below 1 % are dropped


def test_ease_is_its_closed_form():
    data = random_walks()
    found = linear.ease(data, 100, ridge=7.0)
    sets = np.zeros((len(data.users), data.item_count))
    sets[data.user, data.item] = 1
    inverse = np.linalg.inv(sets.T @ sets + 7.0 * np.eye(data.item_count))
    expected = inverse / -np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert np.allclose(dense(found), expected, atol=1e-4)


def test_a_large_catalogue_keeps_the_most_frequent_items_in_the_dense_models():
    data = of(*["abcab"] * 10, "zzzzz")
    cover, number = linear.covered(data, 2)
    assert [data.items[n] for n in cover] == ["a", "b"]
    assert number[data.items.find("z")] == -1
    assert linear.linseq(data, 2).score(history(data, "z")).sum() == 0


def test_rules_know_what_follows_what():
    data = of("abc", "abd", "abc")
    assert best(data, Rules.fit(data), "a") == "b"
    assert best(data, Rules.fit(data, window=1, last=1), "ab") == "c"


def test_item_neighbours_are_shared_by_the_same_people():
    data = of("ab", "ab", "cd", "cd", "ad")
    similar = ItemNeighbours.fit(data, shrink=0).similar(data.items.find("a"))
    assert [data.items[n] for n in top(similar, 2)] == ["b", "d"]


def test_pairs_below_the_minimum_are_no_neighbours():
    data = of("ab", "ab", "ac")
    similar = ItemNeighbours.fit(data, min_pairs=2).similar(data.items.find("a"))
    assert similar[data.items.find("c")] == 0 < similar[data.items.find("b")]


def test_what_lies_near_and_comes_after_is_beside_an_item():
    data = of("abcd", "abxd", "zabc")
    items = ItemNeighbours.in_sequence(data, discount=0.0)
    similar = items.similar(data.items.find("b"))
    assert similar[data.items.find("b")] == 0
    assert similar[data.items.find("c")] > similar[data.items.find("d")] > 0
    after, before = data.items.find("c"), data.items.find("z")
    assert similar[after] > similar[before]
    fewer = ItemNeighbours.in_sequence(data, min_pairs=2).similar(data.items.find("b"))
    assert fewer[data.items.find("x")] == 0 < fewer[data.items.find("c")]
    assert items.beside_newest(history(data, "ab")).argmax() in data.item


def test_session_neighbours_vote_with_what_they_used():
    data = of("abx", "aby", "cdz", "abx")
    assert best(data, SessionNeighbours.fit(data), "a") in "bx"
    assert SessionNeighbours.fit(data).score(history(data, "a"))[data.items.find("z")] == 0


def test_popularity_by_users_counts_each_user_once():
    data = of("aaaa", "b", "b")
    assert best(data, Popular.by_users(data), "a") == "b"


def test_recent_popularity_forgets():
    data = interactions(["u", "v", "w"], ["old", "old", "new"], [0, 0, 10 * SECONDS_PER_DAY])
    recent = Popular.fit(data, half_life_days=1).scores
    assert recent[data.items.find("new")] > recent[data.items.find("old")]


def test_an_old_habit_fades_but_is_not_forgotten():
    data = of("ab")
    days = [0, 0.1, 30]
    scores = Personal.fit(data, half_life_days=60).score(
        history(data, "aab", [day * SECONDS_PER_DAY for day in days])
    )
    assert scores[data.items.find("a")] > scores[data.items.find("b")] > 0


def test_repeat_learns_that_a_first_use_calls_for_a_second():
    pairs = "".join(2 * one for one in "abcdefghij")
    data = of(*[pairs] * 20)
    scores = Repeat.fit(data).score(history(data, "aabbc"))
    assert data.items[int(np.argmax(scores))] == "c"


def test_the_search_finds_the_scorer_that_ranks_the_held_out_rows():
    data = of(*["abcdefgh"] * 10)
    cases = [Case(0, history(data, "abc"), np.array([data.items.find("d")]))] * 60
    blend = search({"popular": Popular.fit(data), "rules": Rules.fit(data)}, cases)
    assert blend.alone["blend"] == pytest.approx(1.0)
    assert data.items[int(np.argmax(blend.score(history(data, "abc"))))] == "d"


def test_the_search_goes_on_in_finer_steps_than_its_grid():
    random = np.random.default_rng(4)
    parts = random.normal(size=(2, 400, 30)).astype(np.float32)
    best = (parts[0] + 0.28 * parts[1]).argmax(axis=1)
    cases = [
        Case(n, History(np.array([n]), np.zeros(1), np.zeros(1), 0.0), best[n : n + 1])
        for n in range(400)
    ]

    @dataclass
    class Table:
        scores: np.ndarray

        def score(self, history: History) -> np.ndarray:
            return np.concatenate([self.scores[history.item[0]], np.zeros(400)]).astype(np.float32)

        def arrays(self) -> dict[str, np.ndarray]:
            return {}

    found = search({"popular": Table(parts[0]), "one": Table(parts[1])}, cases)
    share = found.weights["one"] / found.weights["popular"]
    assert 0.2 < share < 0.4 and share not in (0.2, 0.4)


def test_people_active_before_and_after_a_moment_are_held_out_by_time():
    rows = chains(users=80, rows=30)
    data = interactions([r[0] for r in rows], [r[1] for r in rows], [r[3] for r in rows])
    keep, cases = hold_out(data, 60, seed=0)
    assert data.time[keep].max() < data.time[~keep].min()
    assert len(cases) == 60


def test_people_of_one_day_are_held_out_by_their_newest_tenth():
    data = interactions(
        [f"u{n}" for n in range(100) for _ in range(20)],
        [f"i{k}" for _ in range(100) for k in range(20)],
        [n * 1e6 + k for n in range(100) for k in range(20)],
    )
    keep, cases = hold_out(data, 600, seed=0)
    assert {len(case.targets) for case in cases} == {2}
    assert (~keep).sum() == 200


def test_personalizes_ndcg_is_its_guides_worked_example():
    """Hits at ranks 2 and 5 give 0.6241 (developer guide, "Evaluating a solution version")."""
    ranked = [Ranked(np.arange(25), np.array([1, 4]))]
    found = personalize_metrics(ranked, 100)
    assert found["normalized_discounted_cumulative_gain_at_5"] == 0.6241
    assert found["mean_reciprocal_rank_at_25"] == 0.5
    assert (found["precision_at_5"], found["precision_at_25"]) == (0.4, 0.08)
    assert found["coverage"] == 0.25


def test_honest_ndcg_counts_what_was_missed():
    ranked = [Ranked(np.arange(25), np.array([0, 99]))]
    found = honest_metrics(ranked)
    assert found["ndcg_at_10"] == pytest.approx(1 / (1 + 1 / np.log2(3)), abs=1e-4)
    assert (found["recall_at_25"], found["hit_rate_at_10"]) == (0.5, 1.0)


def test_ids_are_found_whatever_they_are_written_in():
    names = ["b", "a", "é", "日本", "a b", ""]
    table = Ids.of(names)
    assert [table[table.find(one)] for one in names] == names
    assert table.find("nobody") == -1
    assert unpacked(**packed(names)) == names


def test_top_prefers_the_catalogue_order_among_equals():
    assert top(np.array([1.0, 2.0, 1.0, 2.0]), 3).tolist() == [1, 3, 0]
    assert top(np.zeros(0), 5).tolist() == []


TINY = [(1, 1, 2), (2, 1, 40), (5, 2, 3), (5, 7, 40), (30, 1, 300), (30, 7, 300)]


@pytest.mark.parametrize("recipe", ["aws-user-personalization", "aws-sims", "aws-popularity-count"])
@pytest.mark.parametrize("users, items, rows", TINY)
def test_hardly_any_data_trains_and_answers_all_the_same(
    recipe: str, users: int, items: int, rows: int
):
    randomly = np.random.default_rng(0)
    data = interactions(
        [f"u{n}" for n in randomly.integers(0, users, rows)],
        [f"i{n}" for n in randomly.integers(0, items, rows)],
        np.zeros(rows),
    )
    chosen = RECIPES[f"arn:aws:personalize:::recipe/{recipe}"]
    options = Options({}, 1000, 0, lambda _: None)
    mask, cases = evaluation.split(data, 0)
    blend = chosen.fit(data.keep(mask), options)
    quality = evaluation.measure(chosen, blend, data.keep(mask), cases, data.item_count)
    assert all(np.isfinite(list(quality["metrics"].values())))
    final = chosen.refit(blend, data, options)
    for past in (NO_HISTORY, data.history(0)):
        scores = final.score(past)
        assert len(scores) == data.item_count
        assert np.isfinite(scores).all()


def test_the_best_are_those_of_a_full_sort_however_many_scores_are_equal():
    random = np.random.default_rng(0)
    for size in (1, 30, 2_000, 20_000):
        for scores in (
            random.standard_normal(size).astype(np.float32),
            random.integers(0, 5, size).astype(np.float64),
            np.where(random.random(size) < 0.01, random.random(size), -np.inf),
            np.zeros(size),
        ):
            sorted_whole = np.argsort(-scores, kind="stable")
            for count in (1, 25, 500):
                assert top(scores, count).tolist() == sorted_whole[:count].tolist()


def test_rows_are_added_as_well_without_the_kernels_of_scipy(monkeypatch):
    data = of("abcd", "bcda", "dcba", "aabb")
    items = ItemNeighbours.fit(data, shrink=0)
    sessions = SessionNeighbours.fit(data)
    history = data.history(0)
    quick = items.score(history), sessions.score(history)
    monkeypatch.setattr(rows, "csr_row_index", None)
    items.rows.__dict__.pop("_pairs")
    for one in (sessions.by_user, sessions.by_item):
        one.__dict__.pop("_pairs")
    assert np.allclose(items.score(history), quick[0])
    assert np.allclose(sessions.score(history), quick[1])


@pytest.mark.parametrize("dense_pairs", [0.0, 1e9], ids=["pair by pair", "as a dense product"])
def test_ease_is_the_same_however_its_pairs_are_counted(monkeypatch, dense_pairs: float):
    random = np.random.default_rng(0)
    item = random.integers(0, 40, 900)
    data = interactions([f"u{n // 9}" for n in range(900)], [f"i{n}" for n in item], range(900))
    monkeypatch.setattr(linear, "DENSE_PAIRS", dense_pairs)
    monkeypatch.setattr(linear, "BLOCK", 7)
    sets = np.zeros((100, 40))
    sets[data.user, data.item] = 1.0
    inverse = np.linalg.inv(sets.T @ sets + 5.0 * np.eye(40))
    wanted = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(wanted, 0.0)
    found = linear.ease(data, 100, ridge=5.0, decay=1.0)
    assert np.allclose(dense(found), wanted, atol=1e-5)


def test_the_largest_weights_of_every_row_are_kept():
    random = np.random.default_rng(1)
    matrix = sparse.random(30, 50, 0.3, format="csr", random_state=random)
    kept = rows.Rows.largest(matrix, 6)
    for n, row in enumerate(matrix.toarray()):
        columns, weights = kept.row(n)
        assert sorted(weights) == pytest.approx(sorted(row[row > 0])[-6:])
        assert np.allclose(row[columns], weights)


def test_what_was_seen_is_settled_before_the_weights():
    """A scorer that ranks well once the seen is gone is chosen, though the seen stands above."""
    data = of(*["abcd"] * 60)
    cases = [Case(n, history(data, "ab"), np.array([data.items.find("c")])) for n in range(60)]
    good = Popular(np.array([9.0, 8.0, 7.0, 0.0], dtype=np.float32))
    poor = Popular(np.array([0.0, 1.0, 2.0, 3.0], dtype=np.float32))
    blend = search({"good": good, "poor": poor, "popular": poor}, cases)
    assert blend.weights == {"good": 1.0}
    assert top(blend.score(history(data, "ab")), 1).tolist() == [data.items.find("c")]


def test_the_next_moment_counts_more_than_what_comes_later():
    data = of(*["abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL"] * 60)
    _, cases = hold_out(data, 1_000, 0)
    first = data.item[data.offsets[cases[0].user] + len(cases[0].history)]
    assert dict(zip(cases[0].targets, cases[0].gains, strict=True))[first] == 1.0
    assert sorted(cases[0].gains)[:-1] == [LATER_GAIN] * (len(cases[0].targets) - 1)


def test_sessions_that_share_most_are_the_same_counted_or_sorted():
    random = np.random.default_rng(3)
    data = interactions(
        [f"u{n}" for n in random.integers(0, 400, 6_000)],
        [f"i{n}" for n in random.integers(0, 90, 6_000)],
        range(6_000),
    )
    sessions = SessionNeighbours.fit(data)
    for user in range(40):
        items = rows.distinct(data.history(user).item[-20:][::-1])
        counted, by_sorting = sessions._counted(items, len(data.users)), sessions._sorted(items)
        for one, other in zip(counted, by_sorting, strict=True):
            assert np.array_equal(one, other)
