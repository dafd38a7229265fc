"""Names in a warehouse, as Segment makes them: snake case, safe to use without quotes.

Source: segmentio/go-snakecase and Segment, "Warehouse Schemas". Names longer than the shortest
limit of the databases are cut and told apart by a hash.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

NAME_MAX_CHARACTERS = 63  # PostgreSQL's; Redshift has 127
HASH_CHARACTERS = 8
NAMES_REMEMBERED = 65_536

STANDARD_TABLES = frozenset(
    ("tracks", "identifies", "users", "pages", "screens", "groups", "aliases", "accounts")
)
# Words that Redshift does not take as a name without quotes. `timestamp` is one of Segment's own
# columns, and stays as it is.
_RESERVED = """
aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup
between binary blanksasnull both bytedict bzip2 case cast check collate column constraint create
credentials cross current_date current_time current_timestamp current_user current_user_id
default deferrable deflate defrag delta delta32k desc disable distinct do else emptyasnull
enable encode encrypt encryption end except explicit false for foreign freeze from full
globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially inner
intersect interval into is isnull join language leading left like limit localtime localtimestamp
lun luns lzo lzop minus mostly16 mostly32 mostly8 natural new not notnull null nulls off offline
offset oid old on only open or order outer overlaps parallel partition percent permissions pivot
placing primary raw readratio recover references rejectlog resort respect restore right select
session_user similar snapshot some sysdate system table tag tdes text255 text32k then to top
trailing true truncatecolumns union unique unnest unpivot user using verbose wallet when where
with without
"""
RESERVED_WORDS = frozenset(_RESERVED.split())

_CLEAN = re.compile(r"(?:[a-z0-9]|_(?=[a-z0-9]))*")
_WORD = re.compile(r"[A-Z0-9]*[a-z0-9]*")
_LETTER = re.compile(r"[A-Za-z0-9]")


def snake_case(text: str) -> str:
    """`Order Completed` is order_completed; letters outside ASCII fall away."""
    clean = _CLEAN.match(text)
    at = clean.end() if clean else 0
    if at == len(text):
        return text
    if at and text[at - 1].isdigit():  # a digit goes with the capital after it
        at -= 1
    words = [text[:at]] if at else []
    while found := _LETTER.search(text, at):
        word = _WORD.match(text, found.start())
        assert word is not None
        words.append(word.group().lower())
        at = word.end()
    return "_".join(words)


@lru_cache(NAMES_REMEMBERED)
def table_name(event: str) -> str:
    """The table of a track event; empty when its name has no letter or digit of ASCII."""
    name = snake_case(event)
    if name in STANDARD_TABLES:
        name = f"_{name}"
    return _safe(name)


def schema_name(slug: str) -> str:
    """The schema of a source."""
    name = snake_case(slug) or "source"
    if name.startswith("pg_") or name == "information_schema":
        name = f"_{name}"
    return _safe(name)


@lru_cache(NAMES_REMEMBERED)
def column_name(*path: str) -> str:
    """The column of a property, also one inside objects; empty when a part has no name."""
    parts = [snake_case(part) for part in path]
    return _safe("_".join(parts)) if all(parts) else ""


def _safe(name: str) -> str:
    """Not a reserved word, not a digit in front, not too long."""
    if name in RESERVED_WORDS or name[:1].isdigit():
        name = f"_{name}"
    if len(name) > NAME_MAX_CHARACTERS:
        mark = hashlib.sha256(name.encode()).hexdigest()[:HASH_CHARACTERS]
        name = f"{name[: NAME_MAX_CHARACTERS - HASH_CHARACTERS - 1]}_{mark}"
    return name
