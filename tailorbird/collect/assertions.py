"""Assertions of OAuth clients: each counts once, whatever process it is shown to (RFC 7523)."""

from __future__ import annotations

from hashlib import sha256

import sqlalchemy as sa

from tailorbird.collect.tables import assertions
from tailorbird.store import Database, insert


def use_once(db: Database, client: str, id: str, until: float, now: float) -> bool:
    """False when this client has shown an assertion of this id before; known until it expires."""
    key = sha256(f"{client}\n{id}".encode(errors="replace")).hexdigest()
    with db.write() as conn:
        conn.execute(sa.delete(assertions).where(assertions.c.until < now))
        row = insert(db, assertions).values(id=key, until=until).on_conflict_do_nothing()
        return bool(conn.execute(row).rowcount)
