"""What people without a history are told: popularity, what others began with, their attributes.

The newest tenth of the users is kept out whole (by chance where only the order is known); the model
is counted on rows from before they came and chooses for itself; their first five items are sought.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np

from bench._quality_sets import DATA
from tailorbird.learn.artifacts import NO_HISTORY
from tailorbird.learn.models import engine, people
from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions, interactions
from tailorbird.learn.models.scores import Ranked, honest_metrics

POPULAR = {"popular": 0.5, "popular-28d": 0.5}
SOUGHT = 5  # first items of a newcomer
SETS = (  # set, users' file, their id's column, column of times, attributes
    ("ml-100k", "users", "USER_ID", "TIMESTAMP", "GENDER, AGE::DOUBLE AS AGE, OCCUPATION"),
    ("ml-1m", "users", "USER_ID", "POSITION", "GENDER, AGE::DOUBLE AS AGE, OCCUPATION"),
    (
        "complete-journey",
        "demographics",
        "household_id",
        "TIMESTAMP",
        "age, income, home_ownership, marital_status, household_size, household_comp, kids_count",
    ),
)


def main() -> None:
    if not DATA.is_dir():
        print(f"The public sets are not here ({DATA})")
        return
    for one in SETS:
        measure(*one)


def measure(name: str, users: str, key: str, moment: str, attributes: str) -> None:
    folder = DATA / name
    columns = f"USER_ID::VARCHAR, ITEM_ID::VARCHAR, {moment}::DOUBLE"
    query = f"SELECT {columns} FROM '{folder}/interactions.parquet' ORDER BY 3"
    found = duckdb.sql(query).fetchnumpy()
    user, item, at = (np.asarray(column) for column in found.values())
    query = f"SELECT {key}::VARCHAR AS id, {attributes} FROM '{folder}/{users}.parquet'"
    table = duckdb.sql(query)
    names = table.columns[1:]
    known = {row[0]: dict(zip(names, row[1:], strict=True)) for row in table.fetchall()}
    everyone, first = np.unique(user, return_index=True)
    if moment == "POSITION":
        first = np.random.default_rng(0).permutation(len(first))
    new = set(everyone[np.argsort(-first, kind="stable")[: len(everyone) // 10]].tolist())
    of_new = np.isin(user, list(new))
    rest = ~of_new if moment == "POSITION" else at < at[of_new].min()
    data = interactions(user[rest], item[rest], at[rest])
    cells = {one: [known.get(who, {}).get(one) for who in data.users] for one in names}
    began = time.process_time()
    choice, _ = people.choose(data, cells, base, 0)
    model = people.fit(data, cells, choice)
    seconds = time.process_time() - began
    print(f"{name}: {len(data):,} rows, {len(data.items):,} items, {seconds:.2f} CPU-s, {choice}")
    if model is not None:
        report(data, model, known, list(zip(user[of_new], item[of_new], strict=True)))


def base(rows: Interactions) -> np.ndarray:
    """What a blend says of everybody without a history: popularity of all time and of a month."""
    every = engine.scorers(0)
    return Blend({name: every[name](rows) for name in POPULAR}, POPULAR).score(NO_HISTORY)


def report(
    data: Interactions,
    model: people.People,
    known: dict[str, dict[str, Any]],
    rows: Sequence[tuple[str, str]],
) -> None:
    wanted: dict[str, list[int]] = {}
    for who, what in rows:
        wanted.setdefault(who, []).append(data.items.find(what))
    plain = base(data)
    for name in ("popularity", "begins", "attributes"):
        lists = []
        for who, numbers in wanted.items():
            targets = np.array(sorted({one for one in numbers[:SOUGHT] if one >= 0}), dtype=int)
            record = known.get(who, {}) if name == "attributes" else {}
            scores = plain if name == "popularity" else plain + model.lift(record)
            if len(targets):
                lists.append(Ranked(top(scores, 25), targets))
        told = honest_metrics(lists)
        low, high = told["ndcg_at_10_low"], told["ndcg_at_10_high"]
        print(
            f"  {name:<11} {len(lists)} people: NDCG@10 {told['ndcg_at_10']:.3f}"
            f" ({low:.3f} to {high:.3f}), NDCG@25 {told['ndcg_at_25']:.3f},"
            f" recall@25 {told['recall_at_25']:.3f}"
        )


if __name__ == "__main__":
    main()
