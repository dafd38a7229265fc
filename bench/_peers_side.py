"""The peers' side of `bench.peers`: fits each on the same rows, writes its lists, says its costs.

Run by the interpreter that has implicit and rectools; it knows nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

DEPTH = 10
TIMED = 200  # users asked for one at a time


def main() -> None:
    rows = np.load(sys.argv[1])
    folder = Path(sys.argv[2])
    users, items = rows["shape"].tolist()
    ones = np.ones(len(rows["user"]), dtype=np.float32)
    sets = sparse.csr_matrix((ones, (rows["user"], rows["item"])), shape=(users, items))
    for name, run in (
        ("implicit ALS d=64", als),
        ("implicit item-kNN", knn),
        ("RecTools EASE", ease),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        lists, answer, fitted = run(sets)
        path = folder / f"{name.replace(' ', '-')}.npy"
        np.save(path, lists)
        print(
            json.dumps(
                {
                    "name": name,
                    "lists": str(path),
                    "seconds": fitted[0] - wall,
                    "cpu": fitted[1] - cpu,
                    "answer_ms": answer,
                }
            ),
            flush=True,
        )


Found = tuple[np.ndarray, float, tuple[float, float]]


def als(sets: sparse.csr_matrix) -> Found:
    from implicit.als import AlternatingLeastSquares

    return of_implicit(AlternatingLeastSquares(factors=64, random_state=0, num_threads=1), sets)


def knn(sets: sparse.csr_matrix) -> Found:
    from implicit.nearest_neighbours import CosineRecommender

    return of_implicit(CosineRecommender(K=200, num_threads=1), sets)


def of_implicit(model, sets: sparse.csr_matrix) -> Found:  # type: ignore[no-untyped-def]
    model.fit(sets, show_progress=False)
    fitted = (time.perf_counter(), time.process_time())
    every = np.arange(sets.shape[0])
    lists, _ = model.recommend(every, sets, N=DEPTH, filter_already_liked_items=True)
    ask: Callable[[int], object] = lambda n: model.recommend(n, sets[n], N=DEPTH)  # noqa: E731
    return lists, timed(ask), fitted


def ease(sets: sparse.csr_matrix) -> Found:
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import EASEModel

    rows = sets.tocoo()
    frame = pd.DataFrame({Columns.User: rows.row, Columns.Item: rows.col})
    frame[Columns.Weight] = 1.0
    frame[Columns.Datetime] = "2026-01-01"
    data = Dataset.construct(frame)
    model = EASEModel(regularization=400.0)
    model.fit(data)
    fitted = (time.perf_counter(), time.process_time())

    def ask(users: np.ndarray) -> pd.DataFrame:
        return model.recommend(users, data, k=DEPTH, filter_viewed=True)

    found = ask(np.arange(sets.shape[0])).sort_values([Columns.User, Columns.Rank])
    lists = found[Columns.Item].to_numpy().reshape(sets.shape[0], DEPTH)
    return lists, timed(lambda n: ask(np.array([n]))), fitted


def timed(ask: Callable[[int], object]) -> float:
    """Median milliseconds of one user's list."""
    took = []
    for n in range(TIMED):
        began = time.perf_counter()
        ask(n)
        took.append(1e3 * (time.perf_counter() - began))
    return float(np.median(took))


if __name__ == "__main__":
    main()
