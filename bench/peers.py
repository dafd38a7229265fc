"""Side by side with implicit and RecTools on one split: MovieLens-1M, the last item of each user.

The peers run in environments of their own (RecTools wants an older numpy and brings a copy of
implicit under the same name), each in a process of its own, so that a crash costs that one alone:

    python -m venv /tmp/implicit && /tmp/implicit/bin/pip install implicit
    python -m venv /tmp/rectools && /tmp/rectools/bin/pip install rectools
    TAILORBIRD_PEERS=/tmp/implicit/bin/python:/tmp/rectools/bin/python python -m bench peers

Without them only our side is printed. All 3,416 items are ranked, seen ones removed; one thread
each. Needs the data sets beside the code (../shared/data); they are not part of the project.
"""

from __future__ import annotations

import json
import os
import signal
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

PEERS = "TAILORBIRD_PEERS"  # the interpreters that have them
NAMES = ("ALS d=64", "item-kNN", "EASE", "item-kNN of RecTools")
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
    """What each peer recommends, asked for in the first environment that has it."""
    interpreters = [one for one in os.environ.get(PEERS, "").split(os.pathsep) if one]
    if not interpreters:
        print(f"  no peers: {PEERS} names no interpreter that has implicit or rectools (see above)")
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npz"
        train = parts.train
        np.savez(rows, user=train.user, item=train.item, shape=[len(train.users), train.item_count])
        for name in NAMES:
            said = []
            for one in interpreters:
                said.append(peer(one, rows, name, parts))
                if not said[-1]:
                    break
            else:
                print(f"  {name}: {'; '.join(said)}")


def peer(interpreter: str, rows: Path, name: str, parts: sets.Split) -> str:
    """One peer in one environment, shown; else why it did not run there."""
    lists = rows.with_name("lists.npy")
    done = subprocess.run(
        [interpreter, str(SIDE), str(rows), str(lists), name],
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        return f"ended by {signal.Signals(-done.returncode).name} in {interpreter}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    one = json.loads(done.stdout.splitlines()[-1])
    costs = (one["seconds"], one["cpu"], one["answer_ms"])
    show(one["name"], list(np.load(lists)), parts, costs)
    return ""


def show(
    name: str, lists: list[np.ndarray], parts: sets.Split, costs: tuple[float, float, float]
) -> None:
    ranked = [Ranked(best, case.targets) for best, case in zip(lists, parts.cases, strict=True)]
    found = honest_metrics(ranked)
    seconds, cpu, answer = costs
    print(
        f"  {name:36} NDCG@10 {found['ndcg_at_10']:.4f}  HR@10 {found['hit_rate_at_10']:.4f}  "
        f"fit {seconds:.1f} s ({cpu:.1f} CPU-s)  one user p50 {answer:.2f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
