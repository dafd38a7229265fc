"""A training of aws-next-best-action as its child process runs it.

An example is an action shown to a user: taken within the action optimization period, or not. An
action is scored when it was taken 50 times, and 50 times not taken or only viewed, in the six weeks
before the newest action interaction.
Source: Personalize developer guide, "Next-Best-Action recipe".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.learn import parts
from tailorbird.learn.models import propensity
from tailorbird.learn.models.ids import Arrays, Ids
from tailorbird.learn.models.interactions import SECONDS_PER_DAY, Interactions
from tailorbird.learn.models.propensity import (
    DEEDS,
    NO_DEEDS,
    TAKEN,
    VIEWED,
    Deeds,
    People,
    Propensity,
)

PERIOD = "action_optimization_period"
DEFAULT_DAYS = 14
WEEKS = 6
ENOUGH = 50
MAX_EXAMPLES = 40_000  # the newest
TEST_SHARE = 0.1
PREFIX = "actions."


@dataclass(frozen=True)
class Example:
    user: str
    action: int
    moment: float
    taken: bool


def deed(text: str) -> int:
    """The number of an event type, however it is spelled (Taken, Not Taken, VIEWED); -1: none."""
    name = text.strip().upper().replace(" ", "_").replace("-", "_")
    return DEEDS.index(name) if name in DEEDS else -1


def fit(
    data: Interactions, spec: dict[str, Any], days: float
) -> tuple[Arrays, dict[str, Any], dict[str, Any]]:
    """Arrays of the model, its document for the manifest, and its quality."""
    actions = Ids.of(_names(spec["actions"], "ACTION_ID"))
    by_user = deeds_by_user([Path(path) for path in spec["action_parts"]], actions)
    people, records = _people(spec["users"])
    taste = propensity.tastes(data)
    examples = _examples(by_user, days)
    features = _features(data, by_user, records, people, taste, examples, len(actions))
    label = np.array([one.taken for one in examples], dtype=bool)
    action = np.array([one.action for one in examples], dtype=np.int64)
    known = _known(by_user, len(actions))
    seen = np.zeros(len(actions), dtype=np.int64)
    for one in by_user.values():
        rows = (one.deed == TAKEN) & (one.action >= 0)
        seen += np.bincount(one.action[rows], minlength=len(actions))
    model = _fitted(features, label, action, known, actions, seen, taste, people)
    quality = _measure(features, label, action, known, examples, actions, spec["seed"])
    arrays = {f"{PREFIX}{name}": array for name, array in model.arrays().items()}
    return arrays, {"people": people.document()}, quality


def deeds_by_user(paths: list[Path], actions: Ids) -> dict[str, Deeds]:
    """Every user's action interactions, oldest first."""
    found: dict[str, list[tuple[float, int, int]]] = {}
    for path in paths:
        part = parts.read(path)
        if not len(part):
            continue
        user_codes, users = part.strings["USER_ID"]
        action_codes, names = part.strings["ACTION_ID"]
        kind_codes, kinds = part.strings["EVENT_TYPE"]
        number = [actions.find(name) for name in names]
        deeds = [deed(kind) for kind in kinds]
        moments = part.numbers["TIMESTAMP"].tolist()
        for u, a, k, moment in zip(
            user_codes.tolist(), action_codes.tolist(), kind_codes.tolist(), moments, strict=True
        ):
            if deeds[k] >= 0:
                found.setdefault(users[u], []).append((moment, number[a], deeds[k]))
    return {user: _deeds(sorted(set(rows))) for user, rows in found.items()}


def load(arrays: Arrays, manifest: dict[str, Any]) -> Propensity:
    own = {
        name.removeprefix(PREFIX): array
        for name, array in arrays.items()
        if name.startswith(PREFIX)
    }
    return Propensity.load(own, manifest["people"])


def _deeds(rows: list[tuple[float, int, int]]) -> Deeds:
    time, action, kind = zip(*rows, strict=True)
    return Deeds(np.array(action), np.array(kind), np.array(time, dtype=np.float64))


def _names(path: str, column: str) -> list[str]:
    return parts.read(Path(path)).strings[column][1]


def _people(path: str | None) -> tuple[People, dict[str, dict[str, Any]]]:
    """How users become numbers, and what is known of each."""
    if path is None:
        return People({}, {}), {}
    part = parts.read(Path(path))
    codes, names = part.strings["USER_ID"]
    records: dict[str, dict[str, Any]] = {names[n]: {} for n in codes.tolist()}
    order = [records[names[n]] for n in codes.tolist()]
    texts = [name for name in part.strings if name != "USER_ID"]
    for name in texts:
        cells, names = part.strings[name]
        for record, cell in zip(order, cells.tolist(), strict=True):
            if names[cell]:
                record[name] = names[cell]
    for name, values in part.numbers.items():
        for record, value in zip(order, values.tolist(), strict=True):
            if value == value:
                record[name] = value
    return People.of(order, list(part.numbers), texts), records


def _examples(by_user: dict[str, Deeds], days: float) -> list[Example]:
    """Views with what came of them; what was taken or refused without a view before it.

    The first answer to a view within the period decides; a view without one was not taken, unless
    its period is not over: then nobody knows.
    """
    span = days * SECONDS_PER_DAY
    newest = max((float(one.time[-1]) for one in by_user.values()), default=0.0)
    oldest = newest - WEEKS * 7 * SECONDS_PER_DAY
    found: list[Example] = []
    for user, one in by_user.items():
        for action in np.unique(one.action[one.action >= 0]).tolist():
            rows = one.action == action
            moments, deeds = one.time[rows].tolist(), one.deed[rows].tolist()
            for n, (moment, kind) in enumerate(zip(moments, deeds, strict=True)):
                if moment < oldest:
                    continue
                taken = kind == TAKEN
                if kind == VIEWED:
                    answer = _answer(moments[n + 1 :], deeds[n + 1 :], moment + span)
                    if answer is None and moment + span > newest:
                        continue
                    taken = answer == TAKEN
                elif VIEWED in deeds[:n] and moments[_last_view(deeds, n)] >= moment - span:
                    continue
                found.append(Example(user, action, moment, taken))
    found.sort(key=lambda one: (one.moment, one.user, one.action))
    return found[-MAX_EXAMPLES:]


def _answer(moments: list[float], deeds: list[int], until: float) -> int | None:
    """The first deed that is no view, up to a moment."""
    for moment, kind in zip(moments, deeds, strict=True):
        if moment > until:
            return None
        if kind != VIEWED:
            return kind
    return None


def _last_view(deeds: list[int], before: int) -> int:
    return max(n for n in range(before) if deeds[n] == VIEWED)


def _features(
    data: Interactions,
    by_user: dict[str, Deeds],
    records: dict[str, dict[str, Any]],
    people: People,
    taste: np.ndarray,
    examples: list[Example],
    count: int,
) -> np.ndarray:
    rows = []
    persons: dict[str, np.ndarray] = {}
    for one in examples:
        number = data.users.find(one.user)
        start = stop = 0
        if number >= 0:
            start, stop = int(data.offsets[number]), int(data.offsets[number + 1])
        end = start + int(np.searchsorted(data.time[start:stop], one.moment, side="left"))
        history = data.history(number, end, one.moment) if number >= 0 else _nobody(one.moment)
        if one.user not in persons:
            persons[one.user] = people.vector(records.get(one.user, {}))
        before = by_user.get(one.user, NO_DEEDS).before(one.moment)
        own = propensity.about(before, one.moment, count)[one.action]
        common = propensity.state(history, taste, persons[one.user])
        rows.append(np.concatenate([common, own]))
    width = propensity.KINDS + 2 + propensity.TASTE + people.width + 8
    return np.array(rows).reshape(len(rows), width)


def _nobody(moment: float) -> Any:
    none = np.zeros(0, dtype=np.int64)
    return propensity.History(none, np.zeros(0), none, moment)


def _known(by_user: dict[str, Deeds], count: int) -> np.ndarray:
    """Which actions have enough of both in the last six weeks."""
    newest = max((float(one.time[-1]) for one in by_user.values()), default=0.0)
    oldest = newest - WEEKS * 7 * SECONDS_PER_DAY
    taken, other = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
    for one in by_user.values():
        rows = (one.action >= 0) & (one.time >= oldest)
        is_taken = one.deed == TAKEN
        taken += np.bincount(one.action[rows & is_taken], minlength=count)
        other += np.bincount(one.action[rows & ~is_taken], minlength=count)
    return (taken >= ENOUGH) & (other >= ENOUGH)


def _fitted(
    features: np.ndarray,
    label: np.ndarray,
    action: np.ndarray,
    known: np.ndarray,
    actions: Ids,
    seen: np.ndarray,
    taste: np.ndarray,
    people: People,
) -> Propensity:
    weights = np.zeros((len(actions), features.shape[1]))
    offset = np.zeros(len(actions))
    bounds = np.zeros((2, *weights.shape))
    for number in np.flatnonzero(known).tolist():
        rows = action == number
        weights[number], offset[number] = propensity.logistic(features[rows], label[rows] * 1.0)
        bounds[:, number] = features[rows].min(axis=0), features[rows].max(axis=0)
    return Propensity(actions, known, weights, offset, bounds, seen, taste, people)


def _measure(
    features: np.ndarray,
    label: np.ndarray,
    action: np.ndarray,
    known: np.ndarray,
    examples: list[Example],
    actions: Ids,
    seed: int,
) -> dict[str, Any]:
    """AUC of each action on users kept out of the fit, their mean, and how many have a score."""
    people = sorted({one.user for one in examples})
    out = set(np.random.default_rng(seed).permutation(people)[: round(TEST_SHARE * len(people))])
    test = np.array([one.user in out for one in examples], dtype=bool)
    metrics: dict[str, float] = {}
    for number in np.flatnonzero(known).tolist():
        rows = action == number
        if not (rows & ~test).any() or not (rows & test).any():
            continue
        fit_rows, test_rows = rows & ~test, rows & test
        weights, offset = propensity.logistic(features[fit_rows], label[fit_rows] * 1.0)
        found = propensity.area(features[test_rows] @ weights + offset, label[test_rows])
        if found is not None:
            metrics[f"auc_{actions[number]}"] = round(found, 4)
    mean = round(float(np.mean(list(metrics.values()))), 4) if metrics else 0.0
    share = round(float(known.mean()), 4) if len(known) else 0.0
    return {"metrics": {"mean_auc": mean, "coverage": share, **metrics}, "test_users": len(out)}
