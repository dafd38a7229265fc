"""What writers of endpoints ask the database: every text is asked of many endpoints at once."""

from __future__ import annotations

from typing import NamedTuple

from tailorbird.engage.bulk import GIVEN, one_of

COLUMNS = "key, id, user_id, channel, address, opt_out, status, cohort, effective, created, body"
# Documents come as they are written: the driver's way of reading one costs more than reading it.
_AS_TEXT = {"sqlite": "", "postgresql": "::text"}
_MINE = "FROM engage_endpoints WHERE app = ?"


class Texts(NamedTuple):
    """Statements of one dialect, and their parameters: `texts` are made by `bulk.texts`."""

    endpoints: str  # app, keys
    people: str  # app, user ids, app, keys: attributes of these and of those endpoints' people
    crowds: str  # app, user ids, count: who has more endpoints than that
    take_over: str  # app, addresses, keys: other endpoints with these addresses go INACTIVE


def _texts(dialect: str) -> Texts:
    keys, people = one_of(dialect, "key"), one_of(dialect, "user_id")
    text = _AS_TEXT[dialect]
    of_keys = f"{GIVEN[dialect]} UNION SELECT user_id {_MINE} AND {keys}"
    found = Texts(
        endpoints=f"SELECT {COLUMNS}{text} {_MINE} AND {keys}",
        people=f"SELECT user_id, attributes{text} FROM engage_users WHERE app = ?"
        f" AND {one_of(dialect, 'user_id', of_keys)}",
        crowds=f"SELECT user_id {_MINE} AND {people} GROUP BY user_id HAVING count(*) > ?",
        take_over="UPDATE engage_endpoints SET status = 'INACTIVE' WHERE app = ?"
        f" AND {one_of(dialect, 'address')} AND NOT ({keys}) AND status = 'ACTIVE'",
    )
    return found if dialect == "sqlite" else Texts(*(text.replace("?", "%s") for text in found))


TEXTS = {dialect: _texts(dialect) for dialect in GIVEN}
