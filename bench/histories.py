"""Whether Users' columns say anything of people with a history: they do not enough to be used.

A tenth of the users chooses what the columns count, another tenth is measured; both are kept out of
the model whole. Of each person the first rows are the history, new items of the next five rows are
sought.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np

from bench._quality_sets import DATA
from bench.newcomers import SETS
from tailorbird.learn.models import engine, people
from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import History, interactions
from tailorbird.learn.models.people import Choice, People
from tailorbird.learn.models.scores import DISCOUNT

ROWS = (1, 2, 3, 5, 10, 30)  # of a history
SOUGHT = 5  # rows after it
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # of the columns, beside the spread of the scores
DENSE_ITEMS = 4_000


def main() -> None:
    if not DATA.is_dir():
        print(f"The public sets are not here ({DATA})")
        return
    for one in SETS:
        measure(*one)


def measure(name: str, users: str, key: str, moment: str, attributes: str) -> None:
    folder, began = DATA / name, time.process_time()
    columns = f"USER_ID::VARCHAR, ITEM_ID::VARCHAR, {moment}::DOUBLE"
    query = f"SELECT {columns} FROM '{folder}/interactions.parquet' ORDER BY 3"
    user, item, at = map(np.asarray, duckdb.sql(query).fetchnumpy().values())
    query = f"SELECT {key}::VARCHAR AS id, {attributes} FROM '{folder}/{users}.parquet'"
    table = duckdb.sql(query)
    names = table.columns[1:]
    known = {row[0]: dict(zip(names, row[1:], strict=True)) for row in table.fetchall()}
    told = [who for who in np.unique(user).tolist() if who in known]
    out = np.random.default_rng(0).permutation(told)[: 2 * (len(told) // 10)]
    rest = ~np.isin(user, out)
    data = interactions(user[rest], item[rest], at[rest])
    blend = engine.choose(data, DENSE_ITEMS, 0, lambda _: None)
    blend = engine.refit(blend, data, DENSE_ITEMS, lambda _: None)
    cells = {one: [known.get(who, {}).get(one) for who in data.users] for one in names}
    model = people.fit(data, cells, Choice(rows=3, begins=0.0, attributes=1.0))
    assert model is not None
    spread = float(np.log1p(np.bincount(data.item, minlength=data.item_count)).std())
    found = []
    for who in out.tolist():
        rows = user == who
        numbers = np.array([data.items.find(one) for one in item[rows]], dtype=np.int32)
        seen = numbers >= 0
        found.append((numbers[seen], at[rows][seen], known[who]))
    half = len(out) // 2
    for count in ROWS:
        choosing, measured = (
            np.array(list(_qualities(blend, model, spread, some, count)))
            for some in (found[:half], found[half:])
        )
        if len(choosing) and len(measured):
            _tell(count, choosing, measured)
    print(f"{name}: {len(data):,} rows, {time.process_time() - began:.0f} CPU-s")


def _qualities(
    blend: Blend, model: People, spread: float, some: list[Any], count: int
) -> Iterator[list[float]]:
    """NDCG@25 of a person with so many rows, by weight."""
    for numbers, times, record in some:
        before, after = numbers[:count], numbers[count : count + SOUGHT]
        wanted = np.setdiff1d(after, before)
        if len(after) < SOUGHT or not len(wanted):
            continue
        kinds = np.zeros(count, dtype=np.int16)
        scores = blend.score(History(before, times[:count], kinds, float(times[count])))
        lift = model.lift(record)
        unit = float(np.delete(scores, before).std()) / spread
        lists = (top(scores + np.float32(one * unit) * lift, len(DISCOUNT)) for one in WEIGHTS)
        best = DISCOUNT[: len(wanted)].sum()
        yield [float((np.isin(shown, wanted) * DISCOUNT).sum() / best) for shown in lists]


def _tell(count: int, choosing: np.ndarray, measured: np.ndarray) -> None:
    best = int(choosing.mean(axis=0).argmax())
    plain, chosen = measured[:, 0], measured[:, best]
    gain = chosen - plain
    print(
        f"  {count:>2} rows, {len(gain)} people: NDCG@25 {plain.mean():.4f}, with columns"
        f" {chosen.mean():.4f} (weight {WEIGHTS[best]}), gain {gain.mean():+.4f}"
        f" +- {gain.std() / len(gain) ** 0.5:.4f}"
    )


if __name__ == "__main__":
    main()
