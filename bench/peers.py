"""Side by side with implicit and RecTools on one split: MovieLens-1M, the last item of each user.

The peers run in an environment of their own (RecTools wants an older numpy):

    python -m venv /tmp/peers && /tmp/peers/bin/pip install implicit rectools
    TAILORBIRD_PEERS=/tmp/peers/bin/python python -m bench peers

Without it only our side is printed. All 3,416 items are ranked, seen ones removed; one thread each.
Needs the data sets beside the code (../shared/data); they are not part of the project.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench import _quality_sets as sets
from tailorbird.learn.models.best import top
from tailorbird.learn.models.scores import Ranked, honest_metrics
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import Options

PEERS = "TAILORBIRD_PEERS"  # the interpreter that has them
RECIPE = RECIPES["arn:aws:personalize:::recipe/aws-user-personalization-v2"]
SIDE = Path(__file__).with_name("_peers_side.py")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> None:
    if not sets.DATA.is_dir():
        sys.exit(f"the data sets are not on this machine ({sets.DATA})")
    parts = sets.ml_1m()
    print(f"ml-1m: {parts.words}")
    with threadpool_limits(1):
        ours(parts)
    theirs(parts)


def ours(parts: sets.Split) -> None:
    """The default recipe without torch, chosen and fitted."""
    wall, cpu = time.perf_counter(), time.process_time()
    options = Options({}, 12_000, 0, lambda _text: None)
    blend = RECIPE.refit(RECIPE.fit(parts.train, options), parts.train, options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    lists, took = [], []
    for case in parts.cases:
        began = time.perf_counter()
        scores = blend.score(case.history)
        scores[case.history.item] = -np.inf
        best = top(scores, 10)
        took.append(1e3 * (time.perf_counter() - began))
        lists.append(best)
    show("tailorbird default", lists, parts, (wall, cpu, float(np.median(took))))


def theirs(parts: sets.Split) -> None:
    """What each peer recommends, asked for in its own environment."""
    interpreter = os.environ.get(PEERS, "")
    if not interpreter:
        print(
            f"  no peers: {PEERS} names no interpreter that has implicit and rectools (see above)"
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npz"
        train = parts.train
        np.savez(rows, user=train.user, item=train.item, shape=[len(train.users), train.item_count])
        done = subprocess.run(
            [interpreter, str(SIDE), str(rows), folder],
            env=os.environ | ONE_THREAD,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
            print(f"  the peers stopped: {said[-1]}")
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                one = json.loads(line)
                found = np.load(one["lists"])
                costs = (one["seconds"], one["cpu"], one["answer_ms"])
                show(one["name"], list(found), parts, costs)


def show(
    name: str, lists: list[np.ndarray], parts: sets.Split, costs: tuple[float, float, float]
) -> None:
    ranked = [Ranked(best, case.targets) for best, case in zip(lists, parts.cases, strict=True)]
    found = honest_metrics(ranked)
    seconds, cpu, answer = costs
    print(
        f"  {name:28} NDCG@10 {found['ndcg_at_10']:.4f}  HR@10 {found['hit_rate_at_10']:.4f}  "
        f"fit {seconds:.1f} s ({cpu:.1f} CPU-s)  one user p50 {answer:.2f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
