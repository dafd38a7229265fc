"""What is wrong with a dataset group's data, in words and counts, before a training says so."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import events, material, parts
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_dataset_groups, learn_datasets, learn_parts

ADVISED_ROWS, ADVISED_USERS = 50_000, 1_000  # AWS's cheat sheet, for quality
ONE_MOMENT_SHARE = 0.5
FUTURE_SECONDS = 86_400.0
POPULAR_SHARE = 0.5
ERROR, WARNING, FINE = "error", "warning", "fine"
Finding = dict[str, Any]


def findings(room: Learn, of: str) -> dict[str, Any]:
    """Counts of a dataset group (ARN or name) and what each means for a training."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tailorbird-look-")))
        with room.db.read() as conn:
            group = _group(conn, of)
            uris = _uris(conn, group)
            kinds = {kind for kind, _ in uris}
        live = folder / "events.npz"
        events.export(room, group, live)
        paths = [
            stack.enter_context(room.objects.fetch(uri))
            for kind, uri in uris
            if kind == "INTERACTIONS"
        ]
        items = [
            stack.enter_context(room.objects.fetch(uri)) for kind, uri in uris if kind == "ITEMS"
        ]
        data = material.read([*paths, live], {})
        rows = sum(len(parts.read(path)) for path in [*paths, live])
        known = {name for path in items for name in parts.read(path).strings["ITEM_ID"][1]}
    found = _amounts(room, data, rows) + _times(room, data) + _shapes(data)
    if "ITEMS" in kinds:
        found += _items(data, known)
    return {
        "group": group,
        "interactions": len(data),
        "users": len(data.users),
        "items": data.item_count,
        "ready": all(one["level"] != ERROR for one in found),
        "findings": found,
    }


def _amounts(room: Learn, data: Interactions, rows: int) -> list[Finding]:
    settings = room.settings
    returning = int((np.diff(data.offsets) >= 2).sum())
    found = [
        _at_least("interactions", len(data), settings.learn_min_interactions, ADVISED_ROWS),
        _at_least(
            "users with two interactions or more",
            returning,
            settings.learn_min_users,
            ADVISED_USERS,
        ),
    ]
    share = returning / max(len(data.users), 1)
    if len(data.users) and share < settings.learn_min_returning_share:
        least = f"{settings.learn_min_returning_share:.0%}"
        found.append(
            _say(ERROR, f"{share:.1%} of the users come back; {least} is needed", returning)
        )
    if rows > len(data):
        found.append(_say(WARNING, "rows are exact duplicates and count once", rows - len(data)))
    return found


def _times(room: Learn, data: Interactions) -> list[Finding]:
    if not len(data):
        return []
    found = []
    ahead = int((data.time > room.clock.now() + FUTURE_SECONDS).sum())
    if ahead:
        found.append(_say(WARNING, "interactions lie in the future: are the clocks right?", ahead))
    moments, counts = np.unique(data.time, return_counts=True)
    if counts.max() > ONE_MOMENT_SHARE * len(data):
        found.append(
            _say(
                WARNING,
                "interactions have one and the same TIMESTAMP: what follows what cannot be learned",
                int(counts.max()),
            )
        )
    days = float(moments[-1] - moments[0]) / 86_400.0
    found.append(_say(FINE, "days lie between the first interaction and the last", round(days, 1)))
    return found


def _shapes(data: Interactions) -> list[Finding]:
    if not len(data):
        return []
    found = []
    uses = np.bincount(data.item, minlength=data.item_count)
    cold = int((uses < 5).sum())
    if cold > data.item_count / 2:
        found.append(_say(WARNING, "items, more than half, have fewer than 5 interactions", cold))
    if data.item_count > 10 and uses.max() > POPULAR_SHARE * len(data):
        found.append(
            _say(
                WARNING,
                f"interactions are with one item, {data.items[int(uses.argmax())]!r}",
                int(uses.max()),
            )
        )
    longest = int(np.diff(data.offsets).max())
    if longest > 0.1 * len(data) and len(data.users) > 20:
        name = data.users[int(np.diff(data.offsets).argmax())]
        found.append(
            _say(
                WARNING,
                f"interactions are those of one user, {name!r}: a robot or a shared id?",
                longest,
            )
        )
    for number, kind in enumerate(data.kinds):
        count = int((data.kind == number).sum())
        name = kind or "(no EVENT_TYPE)"
        found.append(_say(FINE, f"interactions of type {name}", count))
    return found


def _items(data: Interactions, known: set[str]) -> list[Finding]:
    used = set(data.items)
    found = []
    if used - known:
        some = ", ".join(sorted(used - known)[:3])
        found.append(
            _say(WARNING, f"items of interactions are not in Items ({some})", len(used - known))
        )
    if known - used:
        found.append(_say(FINE, "items of Items have no interaction (cold)", len(known - used)))
    return found


def _at_least(what: str, count: int, least: int, advised: int) -> Finding:
    if count < least:
        return _say(ERROR, f"{what}; a training needs {least}", count)
    if count < advised:
        return _say(WARNING, f"{what}; {advised} are advised for quality", count)
    return _say(FINE, what, count)


def _say(level: str, text: str, count: float) -> Finding:
    return {"level": level, "count": count, "what": text}


def _group(conn: Connection, of: str) -> str:
    c = learn_dataset_groups.c
    query = sa.select(c.arn).where(sa.or_(c.arn == of, c.name == of))
    found = list(conn.execute(query.limit(2)).scalars())
    if not found:
        raise NotFound(f"There is no dataset group {of}; its ARN or name is right")
    if len(found) > 1:
        raise Invalid(f"Several accounts or regions have a dataset group {of}; name it by ARN")
    return found[0]


def _uris(conn: Connection, group: str) -> list[tuple[str, str]]:
    query = (
        sa.select(learn_datasets.c.type, learn_parts.c.uri)
        .join(learn_parts, learn_parts.c.dataset_arn == learn_datasets.c.arn)
        .where(learn_datasets.c.group_arn == group)
        .order_by(learn_parts.c.id)
    )
    return [(row[0], row[1]) for row in conn.execute(query)]
