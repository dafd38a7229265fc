"""GetActionRecommendations: the actions a user is most likely to take, the likeliest first.

Left out: what has expired, and what the user interacted with in the last REPEAT_FREQUENCY days.
Actions without enough data have the score 0.0 and come last, the more valuable ones first; with an
explorationWeight they take that share of the places. Of equal scores the greater VALUE goes first.
Source: Personalize developer guide, "Next-Best-Action recipe" and "Real-time action
recommendations".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import (
    action_past,
    action_training,
    deployed,
    exploration,
    metadata,
    sources,
    throttle,
)
from tailorbird.learn.action_past import Done
from tailorbird.learn.asking import FIND_FILTER, Asking
from tailorbird.learn.deployed import Deployed
from tailorbird.learn.filters import grammar, mask, values
from tailorbird.learn.filters.grammar import Condition, Literal
from tailorbird.learn.models.interactions import SECONDS_PER_DAY
from tailorbird.learn.models.propensity import DEEDS, Deeds, Propensity
from tailorbird.learn.recipes.recipe import PERSONALIZED_ACTIONS
from tailorbird.learn.room import Learn

DEFAULT_RESULTS, MAX_RESULTS = 5, 100
SCORE_DECIMALS = 4


def get_action_recommendations(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Up to numResults actions with the chance that the user takes them."""
    if not request.get("campaignArn"):
        raise Invalid("campaignArn is missing")
    if not request.get("userId"):
        raise Invalid("userId is missing; actions are recommended for a user")
    count = request.get("numResults", DEFAULT_RESULTS)
    if not 0 <= count <= MAX_RESULTS:
        raise Invalid(f"numResults is {count}; 0 to {MAX_RESULTS} is right")
    one = deployed.asked(room, caller, request)
    throttle.check(room, "learn_max_recommendations_per_second", one.arn)
    if one.recipe.type != PERSONALIZED_ACTIONS:
        raise Invalid(f"{one.arn} was trained with {one.recipe.name}; GetRecommendations asks it")
    unique = ids.uuid4()
    with room.db.read() as conn:
        asking = ActionAsking(room, conn, one, request["userId"])
        passes = asking.may_come(room.clock.now())
        if request.get("filterArn"):
            passes &= asking.lets_by(request["filterArn"], request.get("filterValues") or {})
        weight, _ = exploration.read(room, one.config)
        random = np.random.default_rng(int(unique.replace("-", "")[:16], 16))
        chosen = asking.best(passes, count or DEFAULT_RESULTS, weight, random)
    return {"actionList": chosen, "recommendationId": sources.recommendation_id(unique, one.arn)}


class ActionAsking:
    """One request: the user, the actions there are now, and what a filter lets by."""

    def __init__(self, room: Learn, conn: Connection, one: Deployed, user_id: str) -> None:
        self.room, self.conn, self.one = room, conn, one
        self.asking = Asking(room, one, user_id)
        table = metadata.of(room, one.group, "ACTIONS")
        if table is None:
            raise NotFound(f"The dataset group {one.group} has no Actions dataset any more")
        self.table = table
        self.names = [*table.ids, *table.added]
        self.records = [table.record(name) for name in self.names]
        self.done: list[Done] = action_past.of(room, conn, one.group, self.asking.person)

    def may_come(self, now: float) -> np.ndarray:
        """Which actions have not expired and may come again."""
        last: dict[str, float] = {}
        for action, _, moment in self.done:
            last[action] = max(moment, last.get(action, moment))
        found = []
        for name, record in zip(self.names, self.records, strict=True):
            ends, wait = record.get("EXPIRATION_TIMESTAMP"), record.get("REPEAT_FREQUENCY")
            over = ends is not None and float(ends) <= now
            again = now - float(wait or 0) * SECONDS_PER_DAY
            found.append(not over and (not wait or last.get(name, again) <= again))
        return np.array(found, dtype=bool)

    def lets_by(self, filter_arn: str, given: dict[str, str]) -> np.ndarray:
        """Which actions a filter of ActionID lets by."""
        row = self.conn.exec_driver_sql(self.room.db.sql(FIND_FILTER), (filter_arn,)).fetchone()
        if row is None or row[0] != self.one.group:
            raise NotFound(f"The given filter does not exist: {filter_arn}")
        expressions = grammar.parse(self.room.db.load(row[1])["filterExpression"])
        if expressions[0].target != "ACTIONS":
            raise Invalid(
                f"{filter_arn} chooses {expressions[0].target.lower()}; a filter of ActionID is "
                "right"
            )
        bring = mask.Asked(values.read(expressions, given), lambda: self.asking.user_record, None)
        return mask.mask(expressions, bring, self._rows, len(self.names))

    def best(
        self, passes: np.ndarray, count: int, weight: float, random: np.random.Generator
    ) -> list[dict[str, Any]]:
        scores = np.round(self._scores(), SCORE_DECIMALS)
        worth = np.array([float(record.get("VALUE") or 0) for record in self.records])
        order = [n for n in np.lexsort((-worth, -scores)).tolist() if passes[n]]
        sure = [n for n in order if scores[n] > 0]
        unsure = [n for n in order if scores[n] <= 0]
        chosen: list[int] = []
        while (sure or unsure) and len(chosen) < count:
            explore = bool(unsure) and (not sure or random.random() < weight)
            chosen.append(unsure.pop(0) if explore else sure.pop(0))
        return [{"actionId": self.names[n], "score": float(scores[n])} for n in chosen]

    def _scores(self) -> np.ndarray:
        model = propensity(self.one)
        found = [(model.actions.find(action), kind, at) for action, kind, at in self.done]
        columns = zip(*found, strict=True) if found else ((), (), ())
        action, kind, time = (np.array(column) for column in columns)
        deeds = Deeds(action.astype(np.int64), kind.astype(np.int64), time.astype(np.float64))
        known = model.scores(self.asking.history, deeds, self.asking.user_record)
        place = [model.actions.find(name) for name in self.names]
        return np.array([known[n] if n >= 0 else 0.0 for n in place])

    def _rows(self, condition: Condition, wanted: tuple[Literal, ...]) -> np.ndarray:
        if condition.dataset == "ACTION_INTERACTIONS":
            fits = mask.event_types(wanted, condition.sign)
            meant = np.array([fits(kind) or fits(kind.replace("_", " ")) for kind in DEEDS])
            had = action_past.actions_of(self.done, meant)
            return np.array([name in had for name in self.names], dtype=bool)
        rows = mask.of_table(self.table, condition, wanted)
        base = len(self.table.ids)
        return np.concatenate([rows[:base], rows[base + 1 :]])


def propensity(one: Deployed) -> Propensity:
    """The version's model, read once."""
    trained = one.trained
    if trained.actions is None:
        trained.actions = action_training.load(trained.extra, trained.manifest)
    return trained.actions
