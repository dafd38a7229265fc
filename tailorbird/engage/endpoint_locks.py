"""Who waits for whom on PostgreSQL: writers of the same endpoint, person or address take turns.

Locks are taken before a row is touched, in one order: the application (shared by small writes, held
alone by a large one, which would need too many), endpoints, people, addresses. SQLite has one
writer anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

from tailorbird.engage.apps import App
from tailorbird.engage.bulk import GIVEN, one_of, texts
from tailorbird.store import Database, Question

APPLICATION, ENDPOINT, PERSON, ADDRESS, NAMES = range(7_411, 7_416)  # kinds of advisory locks
FEW = 100  # a lock each; PostgreSQL has 64 for each connection, in one pool

_ALONE = f"SELECT pg_advisory_xact_lock({APPLICATION}, ?)"
_SHARED = f"SELECT pg_advisory_xact_lock_shared({APPLICATION}, ?)"
_GIVEN = GIVEN["postgresql"]
_EACH = (
    "SELECT count(pg_advisory_xact_lock({kind}, hash)) FROM (SELECT DISTINCT"
    " hashtext(? || name) AS hash FROM ({names}) wanted (name) ORDER BY 1) sorted"
)
_ENDPOINTS = _EACH.format(kind=ENDPOINT, names=_GIVEN)
_HELD = (  # and those that the endpoints have so far
    f"{_GIVEN} UNION SELECT {{column}} FROM engage_endpoints WHERE app = ?"
    f" AND {{column}} IS NOT NULL AND {one_of('postgresql', 'key')}"
)
_PEOPLE = _EACH.format(kind=PERSON, names=_HELD.format(column="user_id"))
_ADDRESSES = _EACH.format(kind=ADDRESS, names=_HELD.format(column="address"))
_NAMES = f"SELECT pg_advisory_xact_lock({NAMES}, ?)"


def questions(
    db: Database, app: int, keys: list[str], people: Iterable[str], addresses: Iterable[str]
) -> list[Question]:
    """What to ask for before reading what a write of some endpoints goes by."""
    if db.dialect != "postgresql":
        return []
    if len(keys) > FEW:
        return [(db.sql(_ALONE), (app,))]
    mine, given = str(app), texts(keys)
    return [
        (db.sql(_SHARED), (app,)),
        (db.sql(_ENDPOINTS), (mine, given)),
        (db.sql(_PEOPLE), (mine, texts(people), app, given)),
        (db.sql(_ADDRESSES), (mine, texts(addresses), app, given)),
    ]


def names(db: Database, app: App) -> list[Question]:
    """Who writes down new names of attributes does it alone."""
    return [(db.sql(_NAMES), (app.number,))] if db.dialect == "postgresql" else []
