"""What a measurement promises: nothing of the truth in the input, intervals, bounds of memory."""

from __future__ import annotations

import numpy as np
import pytest

from tailorbird.learn import evaluation
from tailorbird.learn.models import engine, linear
from tailorbird.learn.models.blend import hold_out
from tailorbird.learn.models.interactions import Interactions, interactions, joined
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.models.scores import Ranked, honest_metrics
from tailorbird.learn.models.search import search

from .conftest import Study, as_csv


def pairs(users: int = 60, films: int = 40) -> list[tuple[str, str, str, int]]:
    """Everybody watches films in an order of their own; each is a watch and a click at once, the
    clicks behind all watches of the day."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(users):
        seen = random.permutation(200)[:films]
        for kind in ("watch", "click"):
            rows += [
                (f"u{user}", f"i{film}", kind, 1_600_000_000 + user * 90_000 + n // 8)
                for n, film in enumerate(seen.tolist())
            ]
    return rows


def of(rows: list[tuple[str, str, str, int]]) -> Interactions:
    return interactions(
        [r[0] for r in rows], [r[1] for r in rows], [r[3] for r in rows], [r[2] for r in rows]
    )


def test_a_watch_and_a_click_of_one_film_in_one_second_are_one_deed():
    data = of(pairs())
    once = joined(data)
    assert len(once) == len(data) / 2
    assert joined(once) is once


def test_the_heaviest_of_one_deed_stays():
    data = of([("u", "i", "click", 5), ("u", "i", "watch", 5), ("u", "j", "click", 6)])
    heavy = np.where(data.kind == data.kinds.index("watch"), 1.0, 0.2).astype(np.float32)
    once = joined(Interactions(**{**vars(data), "weight": heavy}))
    assert [data.kinds[n] for n in once.kind] == ["watch", "click"]


@pytest.mark.parametrize("seed", range(3))
def test_no_film_of_the_truth_stands_in_the_input(seed: int):
    data = joined(of(pairs()))
    _, cases = evaluation.split(data, seed)
    _, held = hold_out(data, 1_000, seed)
    for case in (*cases, *held):
        assert not np.isin(case.targets, case.history.item).any()


def test_a_training_is_measured_without_that_leak(study: Study):
    """Random watching cannot be foreseen: with pairs on both sides the first place were right."""
    study.interactions()
    study.bring(as_csv(pairs()))
    arn = study.train("aws-user-personalization")["solutionVersionArn"]
    from tailorbird.learn import metrics

    report = metrics.report(study.room, arn)
    assert report["interactions"] == 60 * 40
    assert report["metrics"]["mean_reciprocal_rank_at_25"] < 0.2


def test_honest_metrics_come_with_an_interval_at_every_depth():
    hit = Ranked(np.arange(25), np.array([0]))
    miss = Ranked(np.arange(25), np.array([99]))
    found = honest_metrics([hit, miss] * 50)
    for name in ("ndcg", "recall", "hit_rate"):
        for depth in (5, 10, 25):
            key = f"{name}_at_{depth}"
            assert found[f"{key}_low"] < found[key] == 0.5 < found[f"{key}_high"]
    assert found["hit_rate_at_10_low"] == pytest.approx(0.4, abs=0.03)
    certain = honest_metrics([hit] * 100)
    assert certain["ndcg_at_10_low"] == certain["ndcg_at_10_high"] == 1.0


def test_a_search_with_the_same_seed_finds_the_same_blend():
    data = joined(of(pairs()))
    first, second = (engine.choose(data, 100, 3, lambda _text: None) for _ in range(2))
    assert first.weights == second.weights and first.alone == second.alone


def test_the_search_never_sees_the_rows_it_is_measured_on():
    data = joined(of(pairs()))
    rows, cases = evaluation.split(data, 0)
    train = data.keep(rows)
    _, held = hold_out(train, 1_000, 0)
    out = {case.user for case in cases}
    assert not out & {case.user for case in held}
    assert not np.isin(train.user, list(out)).any()


def test_what_everybody_scores_alike_is_no_hit():
    """Equals stand ahead of a target, so that a scorer that knows nothing gains nothing."""
    data = joined(of(pairs()))
    _, cases = hold_out(data, 1_000, 0)

    class Nothing(Popular):
        pass

    nothing = Nothing(np.zeros(data.item_count, dtype=np.float32))
    blend = search({"nothing": nothing, "popular": Popular.fit(data)}, cases)
    assert blend.alone["nothing"] == 0.0


def test_a_large_catalogue_stays_within_bounds():
    """Of 20,000 items the dense models cover 300, the sparse ones all."""
    random = np.random.default_rng(0)
    item = (20_000 * random.random(60_000) ** 2).astype(int)
    data = interactions(
        [f"u{n // 20}" for n in range(60_000)],
        [f"i{n:05}" for n in item.tolist()],
        np.arange(60_000.0),
    )
    dense = linear.linseq(data, 300)
    kept = np.flatnonzero(np.diff(dense.rows.starts))
    assert len(kept) == 300
    assert len(dense.rows.weights) <= 300 * 300
    rare = int(np.flatnonzero(np.bincount(data.item) == 1)[0])
    assert rare not in kept
