"""Quality of the default recipe on public data; weights are chosen on training rows only.

    python -m bench.quality [SET ...]

Needs the data sets beside the code (../shared/data); they are not part of the project.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from tailorbird.learn import evaluation
from tailorbird.learn.models import engine
from tailorbird.learn.models.blend import Blend, Case
from tailorbird.learn.models.interactions import History, Interactions, interactions
from tailorbird.learn.models.scores import Ranked, honest_metrics, personalize_metrics
from tailorbird.learn.recipes import sims
from tailorbird.learn.recipes.recipe import Options

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
DENSE_ITEMS = 12_000
SEEDS = (0, 1, 2, 3, 4)
DAY = 86_400


@dataclass
class Fitted:
    """A default training, and what it cost."""

    blend: Blend
    seconds: float
    cpu_seconds: float


def main() -> None:
    wanted = sys.argv[1:] or ["poc-ml-latest-small", "ml-1m", "complete-journey"]
    if not DATA.is_dir():
        sys.exit(f"the data sets are not on this machine ({DATA})")
    for name in wanted:
        BENCHES[name]()


def poc() -> None:
    """AWS's POC set, Personalize's split, means (AWS: MRR .269, NDCG@25 .332, P@25 .038)."""
    print(
        "poc-ml-latest-small: 10 % of users out, newest 10 % of each to be found, seen allowed,"
        "\n  sims: the lists beside the newest seven items of the input, joined, repeats allowed"
    )
    data = load(
        "poc-ml-latest-small/interactions.csv.gz", "USER_ID, ITEM_ID, TIMESTAMP, EVENT_TYPE"
    )
    ours: dict[str, list[dict[str, float]]] = {"user personalization": [], "sims": []}
    seconds = []
    for seed in SEEDS:
        rows, cases = evaluation.split(data, seed)
        train = data.keep(rows)
        fitted = fit(train, seed, refit=False)
        seconds.append(fitted.seconds)
        quality = evaluation.measure(
            _recipe("aws-user-personalization"), fitted.blend, train, cases, data.item_count
        )
        ours["user personalization"].append(quality["metrics"])
        items = sims.fit(train, Options({}, DENSE_ITEMS, seed, _silent))
        quality = evaluation.measure(_recipe("aws-sims"), items, train, cases, data.item_count)
        ours["sims"].append(quality["metrics"])
        ours.setdefault("popularity", []).append(quality["popularity"])
    for name, found in ours.items():
        _print_means(name, found)
    print(f"  choosing and fitting: {np.mean(seconds):.1f} s")


def ml_1m() -> None:
    """MovieLens-1M, gSASRec's leave-one-out: rank all unseen items, all 6,040 users."""
    print("ml-1m: last item of each user, all items ranked, seen removed")
    data = load("ml-1m/interactions.parquet", f"USER_ID, ITEM_ID, {_from_the_end()}, ''")
    last = data.offsets[1:] - 1
    rows = np.ones(len(data), dtype=bool)
    rows[last] = False
    train = data.keep(rows)
    fitted = fit(train, 0)
    cases = [
        Case(user, train.history(user), data.item[last[user] : last[user] + 1])
        for user in range(len(data.users))
    ]
    _report(fitted, cases, seen=False)


def complete_journey() -> None:
    """Groceries: cut four weeks before the end, the next seven days' purchases, repeats wanted."""
    print("complete-journey: purchases of the 7 days after a cut 28 days before the end")
    file = DATA / "complete-journey" / "interactions.parquet"
    end = duckdb.sql(f"SELECT max(TIMESTAMP) FROM '{file}'").fetchall()[0][0]
    cut = end - 28 * DAY
    _next_days("complete-journey/interactions.parquet", cut, 7, seen=True, least=10)


def deskdrop() -> None:
    """Articles: cut at 70 % of the events, the next 14 days, seen removed."""
    print("deskdrop: articles of the 14 days after 70 % of the events, new ones too, seen removed")
    file = DATA / "deskdrop" / "interactions.parquet"
    times = duckdb.sql(f"SELECT TIMESTAMP FROM '{file}' ORDER BY 1").fetchnumpy()["TIMESTAMP"]
    cut = int(times[int(0.7 * len(times))])
    _next_days("deskdrop/interactions.parquet", cut, 14, seen=False, least=0)


def retailrocket() -> None:
    """Shop sessions: published test sessions, every prefix, HR and MRR at 20."""
    print("retailrocket-sessions: prefixes of the test sessions, all items ranked, seen allowed")
    data = load(
        "retailrocket-sessions/interactions.parquet",
        "SESSION_ID, ITEM_ID, SESSION_ID * 1000 + POSITION, ''",
    )
    file = DATA / "retailrocket-sessions" / "interactions.parquet"
    found = duckdb.sql(f"SELECT DISTINCT SESSION_ID FROM '{file}' WHERE IS_TEST > 0").fetchall()
    test = {str(row[0]) for row in found}
    of_test = np.array([user in test for user in data.users])
    fitted = fit(data.keep(~of_test[data.user]), 0)
    ranks = []
    for user in np.flatnonzero(of_test).tolist():
        start, stop = int(data.offsets[user]), int(data.offsets[user + 1])
        for row in range(start + 1, stop):
            best = engine.top(fitted.blend.score(data.history(user, row)), 20)
            where = np.flatnonzero(best == data.item[row])
            ranks.append(int(where[0]) + 1 if len(where) else 0)
    found_at = np.array(ranks)
    reciprocal = np.divide(1.0, found_at, out=np.zeros(len(ranks)), where=found_at > 0)
    _print_fit(fitted)
    print(f"  HR@20 {np.mean(found_at > 0):.4f}  MRR@20 {reciprocal.mean():.4f}  of {len(ranks)}")


def load(name: str, columns: str, where: str = "TRUE") -> Interactions:
    """The four columns user, item, time, event type of a file, in the file's order."""
    reader = f"read_csv('{DATA / name}')" if ".csv" in name else f"'{DATA / name}'"
    rows = duckdb.sql(
        f"SELECT u::VARCHAR, i::VARCHAR, t::DOUBLE, e::VARCHAR FROM (SELECT {columns} FROM {reader}"
        f" WHERE {where}) AS x(u, i, t, e)"
    ).fetchnumpy()
    user, item, when, kind = rows.values()
    return interactions(user.astype(str), item.astype(str), when, kind.astype(str))


def fit(data: Interactions, seed: int, *, refit: bool = True) -> Fitted:
    """What a training of the default recipe does with these rows."""
    wall, cpu = time.perf_counter(), time.process_time()
    blend = engine.choose(data, DENSE_ITEMS, seed, _silent)
    if refit:
        blend = engine.refit(blend, data, DENSE_ITEMS, _silent)
    return Fitted(blend, time.perf_counter() - wall, time.process_time() - cpu)


def _next_days(name: str, cut: int, days: int, *, seen: bool, least: int) -> None:
    """Fit on what lies before the cut, ask for the days after; items need `least` rows before."""
    columns = "USER_ID, ITEM_ID, TIMESTAMP, EVENT_TYPE"
    common = (
        f"ITEM_ID IN (SELECT ITEM_ID FROM '{DATA / name}' WHERE TIMESTAMP < {cut}"
        f" GROUP BY 1 HAVING count(*) >= {least})"
    )
    where = f"TIMESTAMP < {cut + days * DAY}" + (f" AND {common}" if least else "")
    data = load(name, columns, where)
    train = data.keep(data.time < cut)
    fitted = fit(train, 0)
    cases = []
    for user in range(len(data.users)):
        start, stop = int(data.offsets[user]), int(data.offsets[user + 1])
        split = int(train.offsets[user + 1] - train.offsets[user]) + start
        targets = np.unique(data.item[split:stop])
        past = train.history(user, now=float(cut))
        if not seen:
            targets = np.setdiff1d(targets, past.item)
        if len(past) and len(targets):
            cases.append(Case(user, History(past.item, past.time, past.kind, float(cut)), targets))
    _report(fitted, cases, seen=seen)


def _report(fitted: Fitted, cases: list[Case], *, seen: bool) -> None:
    ranked, took = [], []
    for case in cases:
        started = time.perf_counter()
        scores = fitted.blend.score(case.history)
        if not seen:
            scores[case.history.item] = -np.inf
        best = engine.top(scores, 25)
        took.append(time.perf_counter() - started)
        ranked.append(Ranked(best, case.targets))
    found = honest_metrics(ranked)
    _print_fit(fitted)
    print(
        f"  NDCG@10 {found['ndcg_at_10']:.4f} (+-{found['ndcg_at_10_standard_error']:.4f})"
        f"  HR@10 {found['hit_rate_at_10']:.4f}  users {len(cases)}"
        f"  coverage@25 {personalize_metrics(ranked, _size(fitted))['coverage']:.3f}"
        f"  one answer p50 {1e3 * np.median(took):.2f}, p99 {1e3 * np.quantile(took, 0.99):.2f} ms"
    )


def _print_fit(fitted: Fitted) -> None:
    weights = ", ".join(f"{name} {value:g}" for name, value in fitted.blend.weights.items())
    print(f"  fit {fitted.seconds:.1f} s ({fitted.cpu_seconds:.1f} CPU-s)  blend: {weights}")
    alone = sorted(fitted.blend.alone.items(), key=lambda one: -one[1])
    print("  held out NDCG@10: " + ", ".join(f"{name} {value:.3f}" for name, value in alone))


def _print_means(name: str, found: list[dict[str, float]]) -> None:
    means = {key: np.mean([one[key] for one in found]) for key in found[0]}
    spread = np.std([one["mean_reciprocal_rank_at_25"] for one in found])
    print(
        f"  {name:22} MRR@25 {means['mean_reciprocal_rank_at_25']:.4f} (sd {spread:.4f})"
        f"  NDCG@25 {means['normalized_discounted_cumulative_gain_at_25']:.4f}"
        f"  P@5/10/25 {means['precision_at_5']:.4f}/{means['precision_at_10']:.4f}"
        f"/{means['precision_at_25']:.4f}  coverage {means['coverage']:.4f}  seeds {len(found)}"
    )


def _size(fitted: Fitted) -> int:
    return len(fitted.blend.scorers["popular"].score(None))  # type: ignore[arg-type]


def _from_the_end() -> str:
    """ML-1M's times are not to be had: every user's last row gets the same time."""
    return "1000000 + POSITION - max(POSITION) OVER (PARTITION BY USER_ID)"


def _recipe(name: str):  # type: ignore[no-untyped-def]
    from tailorbird.learn.recipes import RECIPES

    return RECIPES[f"arn:aws:personalize:::recipe/{name}"]


def _silent(_text: str) -> None:
    return


BENCHES: dict[str, Callable[[], None]] = {
    "poc-ml-latest-small": poc,
    "ml-1m": ml_1m,
    "complete-journey": complete_journey,
    "deskdrop": deskdrop,
    "retailrocket-sessions": retailrocket,
}

if __name__ == "__main__":
    main()
