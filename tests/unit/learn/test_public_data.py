"""Real files as their makers wrote them, and the quality to hold on a small public set."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from tailorbird.learn import csvs, evaluation
from tailorbird.learn.models import engine
from tailorbird.learn.models.best import top
from tailorbird.learn.models.interactions import interactions, joined
from tailorbird.learn.models.scores import Ranked, honest_metrics
from tailorbird.learn.recipes import sims
from tailorbird.learn.recipes.recipe import Options
from tailorbird.learn.schemas import parse

from .conftest import schema_text

FILES = {
    "Glue's output for the Segment workshop": (
        "segment-workshop/run-1558198402129-part-r-00000.csv.gz",
        9_522,
    ),
    "AWS's POC notebooks": ("poc-ml-latest-small/interactions.csv.gz", 158_371),
}


@pytest.mark.parametrize("name, rows", FILES.values(), ids=FILES)
def test_real_files_are_read_to_the_last_row(shared_data: Path, name: str, rows: int):
    file = shared_data / name
    _, report = csvs.read([(name, file)], parse(schema_text()), lambda *_: None)
    assert (report.rows, report.rejected) == (rows, 0)


def test_sims_holds_its_line_on_the_poc_set(shared_data: Path):
    """Personalize's split without the leak of its pairs, one seed, lists beside the newest items
    (AWS, with the leak: .167, .290, .042; here over five seeds: .229, .319, .059)."""
    file = shared_data / "poc-ml-latest-small" / "interactions.csv.gz"
    rows = duckdb.sql(f"SELECT USER_ID, ITEM_ID, TIMESTAMP FROM '{file}'").fetchnumpy()
    data = joined(
        interactions(
            *(rows[name].astype(str) for name in ("USER_ID", "ITEM_ID")), rows["TIMESTAMP"]
        )
    )
    mask, cases = evaluation.split(data, 0)
    train = data.keep(mask)
    blend = sims.fit(train, Options({}, 1, 0, print))
    found = evaluation.measure(sims.RECIPE, blend, train, cases, data.item_count)["metrics"]
    assert found["mean_reciprocal_rank_at_25"] >= 0.18
    assert found["normalized_discounted_cumulative_gain_at_25"] >= 0.26
    assert found["precision_at_25"] >= 0.042


@pytest.mark.slow
def test_ml_100k_leave_one_out_holds_its_line(shared_data: Path):
    """NDCG@10 of at least 0.105 with the default settings (measured: 0.113 for a tuned blend)."""
    file = shared_data / "ml-100k" / "interactions.parquet"
    rows = duckdb.sql(f"SELECT USER_ID, ITEM_ID, TIMESTAMP FROM '{file}'").fetchnumpy()
    data = interactions(
        *(rows[name].astype(str) for name in ("USER_ID", "ITEM_ID")), rows["TIMESTAMP"]
    )
    last = data.offsets[1:] - 1
    mask = np.ones(len(data), dtype=bool)
    mask[last] = False
    train = data.keep(mask)
    blend = engine.refit(engine.choose(train, 12_000, 0, print), train, 12_000, print)
    lists = []
    for user in range(len(data.users)):
        past = train.history(user)
        scores = blend.score(past)
        scores[past.item] = -np.inf
        lists.append(Ranked(top(scores, 10), data.item[last[user] : last[user] + 1]))
    assert honest_metrics(lists)["ndcg_at_10"] >= 0.105
