"""The peers' side of `bench.peers`: fits one on the same rows, writes its lists, says its costs.

Run by an interpreter that has implicit or rectools; it knows nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy import sparse

DEPTH = 10
TIMED = 200  # users asked for one at a time


def main() -> None:
    rows = np.load(sys.argv[1])
    path, name = Path(sys.argv[2]), sys.argv[3]
    users, items = rows["shape"].tolist()
    ones = np.ones(len(rows["user"]), dtype=np.float32)
    sets = sparse.csr_matrix((ones, (rows["user"], rows["item"])), shape=(users, items))
    package, release, run = PEERS[name]()
    wall, cpu = time.perf_counter(), time.process_time()
    lists, answer, fitted = run(sets)
    np.save(path, lists)
    costs = {"seconds": fitted[0] - wall, "cpu": fitted[1] - cpu, "answer_ms": answer}
    print(json.dumps({"name": f"{package} {release}: {name}"} | costs), flush=True)


Found = tuple[np.ndarray, float, tuple[float, float]]


Peer = tuple[str, str, Callable[[sparse.csr_matrix], Found]]


def als() -> Peer:
    import implicit
    from implicit.als import AlternatingLeastSquares

    def run(sets: sparse.csr_matrix) -> Found:
        return of_implicit(AlternatingLeastSquares(factors=64, random_state=0, num_threads=1), sets)

    return "implicit", implicit.__version__, run


def knn() -> Peer:
    import implicit
    from implicit.nearest_neighbours import CosineRecommender

    def run(sets: sparse.csr_matrix) -> Found:
        return of_implicit(CosineRecommender(K=200, num_threads=1), sets)

    return "implicit", implicit.__version__, run


def of_implicit(model, sets: sparse.csr_matrix) -> Found:  # type: ignore[no-untyped-def]
    model.fit(sets, show_progress=False)
    fitted = (time.perf_counter(), time.process_time())
    every = np.arange(sets.shape[0])
    lists, _ = model.recommend(every, sets, N=DEPTH, filter_already_liked_items=True)
    ask: Callable[[int], object] = lambda n: model.recommend(n, sets[n], N=DEPTH)  # noqa: E731
    return lists, timed(ask), fitted


def ease() -> Peer:
    from rectools.models import EASEModel

    return "RecTools", version("rectools"), lambda s: of_rectools(EASEModel(400.0), s)


def rectools_knn() -> Peer:
    from implicit.nearest_neighbours import CosineRecommender
    from rectools.models import ImplicitItemKNNWrapperModel

    def run(sets: sparse.csr_matrix) -> Found:
        return of_rectools(ImplicitItemKNNWrapperModel(CosineRecommender(K=200)), sets)

    return "RecTools", version("rectools"), run


def of_rectools(model, sets: sparse.csr_matrix) -> Found:  # type: ignore[no-untyped-def]
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    rows = sets.tocoo()
    frame = pd.DataFrame({Columns.User: rows.row, Columns.Item: rows.col})
    frame[Columns.Weight] = 1.0
    frame[Columns.Datetime] = "2026-01-01"
    data = Dataset.construct(frame)
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


PEERS: dict[str, Callable[[], Peer]] = {
    "ALS d=64": als,
    "item-kNN": knn,
    "EASE": ease,
    "item-kNN of RecTools": rectools_knn,
}

if __name__ == "__main__":
    main()
