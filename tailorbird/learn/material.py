"""The rows a training sees: imported parts and live events, filtered as the solution says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.errors import Invalid
from tailorbird.learn import parts
from tailorbird.learn.models.ids import Ids
from tailorbird.learn.models.interactions import Interactions, from_numbers

SERVICE_INTERACTIONS, SERVICE_USERS = 1_000, 25


@dataclass(frozen=True)
class Minimum:
    """What a training needs at least; each is a setting."""

    interactions: int
    users: int
    share: float  # of the users that have two interactions or more


def read(paths: list[Path], choice: dict[str, Any]) -> Interactions:
    """All parts as one, exact duplicates once, only the event types the solution wants."""
    found = [parts.read(path) for path in paths]
    user_ids, user = _merged(found, "USER_ID")
    item_ids, item = _merged(found, "ITEM_ID")
    kinds, kind = _merged(found, "EVENT_TYPE")
    time = _numbers(found, "TIMESTAMP")
    value = _numbers(found, "EVENT_VALUE")
    weight, wanted = _weights(kinds, kind, value, choice)
    rows = np.flatnonzero(wanted)
    rows = rows[_first_of_each(user[rows], item[rows], kind[rows], time[rows], value[rows])]
    users, user = _numbered(user_ids, user[rows])
    items, item = _numbered(item_ids, item[rows])
    return from_numbers(users, items, kinds, user, item, kind[rows], time[rows], weight[rows])


def widened(data: Interactions, names: list[str]) -> Interactions:
    """The same rows over a catalogue that holds these items as well."""
    items = Ids.of([*data.items, *names])
    place = np.array([items.find(one) for one in data.items], dtype=np.int32)
    return replace(data, items=items, item=place[data.item] if len(data) else data.item)


def check(data: Interactions, minimum: Minimum, choice: dict[str, Any]) -> None:
    """Invalid with the service's reason when there is too little to learn from."""
    if len(data) < minimum.interactions:
        kinds = sorted(event_types(choice) or ())
        after = f" after filtering by event type: {', '.join(kinds)}" if kinds else ""
        raise Invalid(
            f"Create failed. Dataset has fewer than {minimum.interactions} interactions{after}. "
            f"It has {len(data)} (setting learn_min_interactions)."
        )
    returning = int((np.diff(data.offsets) >= 2).sum())
    if returning < minimum.users:
        raise Invalid(
            f"Create failed. Dataset has fewer than {minimum.users} users with at least 2 "
            f"interactions each. It has {returning} (setting learn_min_users)."
        )
    if returning < minimum.share * len(data.users):
        raise Invalid(
            f"Create failed. Less than {minimum.share:.0%} of the users have at least 2 "
            f"interactions each: {returning} of {len(data.users)} "
            "(setting learn_min_returning_share)."
        )


def warnings(data: Interactions) -> list[str]:
    """Where a training goes on below the service's own minimums, what that means."""
    found = []
    returning = int((np.diff(data.offsets) >= 2).sum())
    for count, least, what in (
        (len(data), SERVICE_INTERACTIONS, "interactions"),
        (returning, SERVICE_USERS, "users with two interactions"),
    ):
        if count < least:
            found.append(
                f"{count} {what}; Personalize would refuse fewer than {least}, and what is learned "
                "from so little may not hold"
            )
    return found


def event_types(choice: dict[str, Any]) -> set[str] | None:
    """The event types a solution trains on; None for all."""
    if choice.get("event_weights"):
        return set(choice["event_weights"])
    return {choice["event_type"]} if choice.get("event_type") else None


def _merged(found: list[parts.Part], name: str) -> tuple[list[str], np.ndarray]:
    """A string column of all parts under one numbering; empty strings where a part lacks it."""
    numbers: dict[str, int] = {}
    chunks = []
    for part in found:
        codes, values = part.strings.get(name, (np.zeros(len(part), dtype=np.int32), [""]))
        place = np.array(
            [numbers.setdefault(value, len(numbers)) for value in values] or [0], dtype=np.int64
        )
        chunks.append(place[codes])
    return list(numbers), np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int64)


def _numbers(found: list[parts.Part], name: str) -> np.ndarray:
    chunks = [part.numbers.get(name, np.full(len(part), np.nan)) for part in found]
    return np.concatenate(chunks) if chunks else np.zeros(0)


def _weights(
    kinds: list[str], kind: np.ndarray, value: np.ndarray, choice: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's weight as something to predict, and whether it is wanted at all."""
    by_type: dict[str, dict[str, Any]] = choice.get("event_weights") or {}
    if not by_type and choice.get("event_type"):
        by_type = {choice["event_type"]: {"threshold": choice.get("threshold")}}
    wanted = np.ones(len(kind), dtype=bool)
    weight = np.ones(len(kind), dtype=np.float32)
    if by_type:
        wanted = np.isin(kind, [n for n, name in enumerate(kinds) if name in by_type])
        for n, name in enumerate(kinds):
            rule = by_type.get(name, {})
            rows = kind == n
            if rule.get("weight") is not None:
                weight[rows] = rule["weight"]
            if rule.get("threshold") is not None:
                wanted &= ~rows | (value >= rule["threshold"])
    elif choice.get("threshold") is not None:
        wanted = value >= choice["threshold"]
    return weight, wanted


def _first_of_each(*columns: np.ndarray) -> np.ndarray:
    """Row numbers with exact duplicates left out."""
    if not len(columns[0]):
        return np.zeros(0, dtype=np.int64)
    keys = [np.nan_to_num(column, nan=-1.0) for column in columns]
    order = np.lexsort(keys)
    new = np.zeros(len(order), dtype=bool)
    new[0] = True
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    return np.sort(order[new])


def _numbered(ids: list[str], codes: np.ndarray) -> tuple[Ids, np.ndarray]:
    """Renumber in the order of the table of ids, only those that occur."""
    used, place = np.unique(codes, return_inverse=True)
    names = [ids[n] for n in used.tolist()]
    order = sorted(range(len(names)), key=lambda n: names[n].encode())
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return Ids.of(names), rank[place]
