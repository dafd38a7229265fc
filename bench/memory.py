"""Memory and seconds of a default training as the catalogue grows: 20,000 and 200,000 items.

Made-up rows (popular items, people who stay near an item), each size in a process of its own.
The dense models keep to the most frequent 12,000 items, the sparse ones cover the others.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tailorbird.learn import artifacts
from tailorbird.learn.models.ids import Ids
from tailorbird.learn.models.interactions import Interactions, from_numbers
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import Options

RECIPE = RECIPES["arn:aws:personalize:::recipe/aws-user-personalization-v2"]
SIZES = (20_000, 200_000)
ROWS_PER_ITEM, ROWS_PER_USER = 4, 20
DENSE_ITEMS = 12_000


def main() -> None:
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
        return
    for size in SIZES:
        subprocess.run([sys.executable, "-m", "bench.memory", str(size)], check=True)


def measure(items: int) -> None:
    data = made_up(items)
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    options = Options({}, DENSE_ITEMS, 0, lambda _text: None)
    blend = RECIPE.refit(RECIPE.fit(data, options), data, options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    trained = _peak()
    took = []
    for user in range(200):
        began = time.perf_counter()
        blend.score(data.history(user))
        took.append(1e3 * (time.perf_counter() - began))
    with tempfile.TemporaryDirectory() as folder:
        artifacts.save(Path(folder), data, blend, {"recipe": "", "last_event": 0}, 500)
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
    print(
        f"{items:,} items, {len(data):,} rows: trained in {wall:.1f} s ({cpu:.1f} CPU-s), memory "
        f"{before:,.0f} MB before, {trained:,.0f} MB at most, model {size:,.0f} MB, "
        f"one score p50 {np.median(took):.1f} ms; blend {', '.join(blend.weights)}",
        flush=True,
    )


def made_up(items: int) -> Interactions:
    """People walk from a popular item to one that lies near it."""
    random = np.random.default_rng(0)
    rows = items * ROWS_PER_ITEM
    users = rows // ROWS_PER_USER
    user = np.repeat(np.arange(users), ROWS_PER_USER)
    start = (items * random.random(rows) ** 3).astype(np.int64)
    stay = random.random(rows) < 0.7
    stay[::ROWS_PER_USER] = False
    anchor = np.maximum.accumulate(np.where(stay, 0, np.arange(rows)))
    item = (start[anchor] + random.integers(0, 8, rows)) % items
    time_of = 1.6e9 + random.random(users)[user] * 3e7 + np.arange(rows) % ROWS_PER_USER * 60.0
    ids = [Ids.of(f"{kind}{n:07}" for n in range(count)) for kind, count in _counts(users, items)]
    kind = np.zeros(rows, dtype=np.int64)
    return from_numbers(
        ids[0], ids[1], ["view"], user, item, kind, time_of, np.ones(rows, dtype=np.float32)
    )


def _counts(users: int, items: int) -> tuple[tuple[str, int], ...]:
    return ("u", users), ("i", items)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
