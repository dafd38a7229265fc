"""At most once: a message is noted before it is handed over, and its end afterwards.

A message whose end is not known is never tried again; one that was certainly not taken is.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from tailorbird.channels import tables as t
from tailorbird.channels.messages import (
    NOT_TAKEN,
    STATUS_CODES,
    UNKNOWN_FAILURE,
    Message,
    Receipt,
    receipt,
)
from tailorbird.channels.room import Channels
from tailorbird.store import insert

KEPT_SECONDS = 90 * 86_400.0
BEGUN_BEFORE = (
    "An earlier attempt was begun and its end is not known; this channel sends at most once"
)


def begin(room: Channels, messages: Sequence[Message]) -> dict[str, Receipt]:
    """Note the messages as begun; the receipts of those that were begun before."""
    assert room.db is not None
    now = room.clock.now()
    known: dict[str, Receipt] = {}
    with room.db.write() as conn:
        for message in messages:
            row = {"message_id": message.id, "begun": now}
            adding = insert(room.db, t.intents).values(row).on_conflict_do_nothing()
            if conn.execute(adding.returning(t.intents.c.begun)).first() is None:
                held = conn.execute(
                    sa.select(t.intents).where(t.intents.c.message_id == message.id)
                ).one()
                known[message.id] = _receipt(message, held.status, held.words)
    return known


def end(room: Channels, receipts: Sequence[Receipt]) -> None:
    """Note how the messages ended; those that were certainly not taken may be begun again."""
    assert room.db is not None
    c = t.intents.c
    with room.db.write() as conn:
        for one in receipts:
            mine = c.message_id == one.message_id
            if one.status in NOT_TAKEN:
                conn.execute(sa.delete(t.intents).where(mine))
            elif one.status != UNKNOWN_FAILURE:
                values = {"status": one.status, "words": one.message}
                conn.execute(sa.update(t.intents).where(mine).values(values))


def withdraw(room: Channels, messages: Sequence[Message]) -> None:
    """Nothing of these was handed over."""
    assert room.db is not None
    ids = [message.id for message in messages]
    with room.db.write() as conn:
        conn.execute(sa.delete(t.intents).where(t.intents.c.message_id.in_(ids)))


def forget_old(room: Channels) -> None:
    """Drop what is too old to be asked for again."""
    if room.db is None:
        return
    before = room.clock.now() - KEPT_SECONDS
    with room.db.write() as conn:
        conn.execute(sa.delete(t.intents).where(t.intents.c.begun < before))
        conn.execute(sa.delete(t.provider_ids).where(t.provider_ids.c.moment < before))


def _receipt(message: Message, status: str | None, words: str | None) -> Receipt:
    if status is None or status not in STATUS_CODES:
        return receipt(message, UNKNOWN_FAILURE, BEGUN_BEFORE)
    return receipt(message, status, words or "")
