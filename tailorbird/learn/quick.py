"""Which answers need no thread of their own: those from memory that lately took next to nothing.

A thread, and the wait for it, cost as much as such an answer does. One that has to open a model,
read imported rows, write, or ask a database across the network is none of them; a look at a row of
SQLite is nothing.
"""

from __future__ import annotations

from typing import Any

from tailorbird.learn import deployed, exploration, metadata, past
from tailorbird.learn.asking import filter_of
from tailorbird.learn.filters.rules import asks_about_events
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.room import Learn

QUICK_SECONDS = 0.003  # CPU of one answer: what others on the event loop may have to wait
MAX_COSTS = 10_000  # campaigns
NEWEST_WEIGHS = 0.1  # in the running mean


def is_quick(room: Learn, request: dict[str, Any]) -> bool:
    """Whether GetRecommendations or GetPersonalizedRanking may be answered on the event loop."""
    arn = request.get("campaignArn") or request.get("recommenderArn") or ""
    if room.db.dialect != "sqlite" or room.costs.get(arn, QUICK_SECONDS) >= QUICK_SECONDS:
        return False
    row = deployed.row_of(room, arn)
    if row is None or row[4] not in room.models or request.get("promotions"):
        return False
    group, recipe = row[6], RECIPES.get(row[5])
    if recipe is None or exploration.read(room, row[3])[0] > 0:
        return False
    if not metadata.is_settled(room, group, "ITEMS"):
        return False
    if recipe.hides and not past.is_open(room, group):
        return False
    return not request.get("filterArn") or _filter_is_quick(room, group, request["filterArn"])


def note(room: Learn, arn: str, seconds: float) -> None:
    """Remember what an answer cost."""
    before = room.costs.get(arn)
    if before is None and len(room.costs) >= MAX_COSTS:
        room.costs.clear()
    mean = seconds if before is None else before + NEWEST_WEIGHS * (seconds - before)
    room.costs[arn] = mean


def _filter_is_quick(room: Learn, group: str, filter_arn: str) -> bool:
    found = filter_of(room, filter_arn)
    if found is None:
        return False
    if asks_about_events(found[1]) and not past.is_open(room, group):
        return False
    return not any(one.when for one in found[1]) or metadata.is_settled(room, group, "USERS")
