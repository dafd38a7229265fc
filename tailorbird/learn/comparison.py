"""Solution versions on one split: each is trained anew without the same users, and asked for them.

The rows are those of today, so that versions of different days and event types can be compared.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from threadpoolctl import threadpool_limits

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import child, evaluation, material, records, training, training_run
from tailorbird.learn.child import Said
from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Case
from tailorbird.learn.models.interactions import History, Interactions, joined
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.models.scores import (
    Ranked,
    honest_metrics,
    honest_table,
    interval,
    personalize_metrics,
)
from tailorbird.learn.recipes import RECIPES, own
from tailorbird.learn.recipes.recipe import (
    PERSONALIZED_ACTIONS,
    USER_SEGMENTATION,
)
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_solution_versions

MAIN = "ndcg_at_10"
POPULARITY = "popularity"
UNCOMPARED = (USER_SEGMENTATION, PERSONALIZED_ACTIONS)


def measure(room: Learn, versions: list[str]) -> dict[str, Any]:
    """Metrics of every version and of popularity on the same users, and the gaps to the first."""
    rows = [_row(room, arn) for arn in versions]
    if len({row["group_arn"] for row in rows}) > 1:
        raise Invalid("The versions belong to different dataset groups, which share no users")
    with ExitStack() as stack:
        specs = []
        for row in rows:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            spec = training.spec_of(room, stack, row, folder)
            tuned = (row["report"] or {}).get("tuned") or {}
            specs.append(
                spec
                | {
                    "version": row["arn"],
                    "recipe": row["recipe_arn"],
                    "hyperparameters": spec["hyperparameters"] | tuned,
                }
            )
        threads = room.settings.learn_training_threads
        about = {"versions": specs, "threads": threads, "seed": room.settings.learn_seed}
        return child.run("compare", about, lambda _said: None, threads=threads)


def run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    """The child's side of `measure`."""
    with threadpool_limits(spec["threads"]):
        return _run(spec, said)


def _run(spec: dict[str, Any], said: Said) -> dict[str, Any]:
    first = spec["versions"][0]
    own.register(first["recipe_folder"])
    whole = joined(material.read([Path(path) for path in first["parts"]], {}))
    _, cases = evaluation.split(whole, spec["seed"])
    without = {whole.users[case.user] for case in cases}
    lists: dict[str, list[Ranked]] = {}
    for n, one in enumerate(spec["versions"]):
        said({"step": n, "text": f"train {one['version']} anew"})
        lists[one["version"]] = _lists(one, whole, cases, without)
    popular = top(Popular.fit(_train(whole, without)).scores, evaluation.DEPTH)
    lists[POPULARITY] = [Ranked(popular, case.targets) for case in cases]
    base = honest_table(lists[first["version"]])[MAIN]
    found = []
    for name, ranked in lists.items():
        gap = honest_table(ranked)[MAIN] - base
        low, high = interval(gap[:, None])
        found.append(
            {
                "version": name,
                **personalize_metrics(ranked, whole.item_count),
                **honest_metrics(ranked),
                f"{MAIN}_beside_first": round(float(gap.mean()), 4),
                f"{MAIN}_beside_first_low": round(float(low[0]), 4),
                f"{MAIN}_beside_first_high": round(float(high[0]), 4),
            }
        )
    return {"same_split": True, "trained_anew": True, "versions": found}


def _lists(
    spec: dict[str, Any], whole: Interactions, cases: list[Case], without: set[str]
) -> list[Ranked]:
    """What a version, trained without the users, would have shown them."""
    recipe = RECIPES[spec["recipe"]]
    if recipe.type in UNCOMPARED:
        raise Invalid(f"{spec['version']} recommends no items; versions that do can be compared")
    data = joined(material.read([Path(path) for path in spec["parts"]], spec["choice"]))
    blend = recipe.fit(_train(data, without), training_run.options_of(spec, lambda _text: None))
    numbers = np.array([whole.items.find(one) for one in data.items], dtype=np.int64)
    found = []
    for case in cases:
        asked = Case(case.user, _history(data, whole, case), case.targets)
        best = top(evaluation.scores_for(recipe, blend, asked), evaluation.DEPTH)
        best = numbers[best]
        found.append(Ranked(best[best >= 0], case.targets))
    return found


def _train(data: Interactions, without: set[str]) -> Interactions:
    out = np.array([one in without for one in data.users], dtype=bool)
    return data.keep(~out[data.user])


def _history(data: Interactions, whole: Interactions, case: Case) -> History:
    """The case's input as this training would know it: its own event types and thresholds."""
    user = data.users.find(whole.users[case.user])
    none = np.zeros(0)
    if user < 0:
        return History(none.astype(np.int32), none, none.astype(np.int16), case.history.now)
    past = data.history(user)
    last = float(case.history.time[-1])
    given = {whole.items[n] for n in case.history.item[case.history.time == last].tolist()}
    at_last = np.array([data.items[n] in given for n in past.item.tolist()], dtype=bool)
    rows = (past.time < last) | ((past.time == last) & at_last)
    return History(past.item[rows], past.time[rows], past.kind[rows], case.history.now)


def _row(room: Learn, arn: str) -> records.Row:
    table = learn_solution_versions
    with room.db.read() as conn:
        row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
    if row is None or row["status"] != records.ACTIVE:
        raise NotFound(f"{arn} is no ACTIVE solution version")
    return row
