"""DuckDB: one query over a group of archive files; malformed lines cost nothing but themselves.

Its reader overlooks a trailing comma and takes NaN and Infinity, which JSON does not have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tailorbird.errors import Invalid
from tailorbird.prepare.mapping import Mapping

MEMORY_MIB = 1024
LINE_MAX_BYTES = 16 * 1024 * 1024
FIELDS = ("event", "userId", "anonymousId", "properties", "timestamp")
INTEGER = "-?[1-9][0-9]*|0"
MOMENT = (
    "([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?"
    "(?:[.,][0-9]+)?(?:Z|([+-])((?:[01][0-9]|2[0-3])):?([0-5][0-9])?)?"
)
SECONDS = {"h": 3600, "m": 60}
COPY = (
    "COPY (SELECT {columns} FROM part WHERE reason IS NULL) TO '{file}' (FORMAT csv, HEADER false)"
)

EXPRESSIONS = {
    "ANONYMOUS_ID": "anonymous_id",
    "USER_ID": "user_id",
    "ITEM_ID": "item_id",
    "EVENT_TYPE": "event_type",
    "TIMESTAMP_ISO": "moment",
    "TIMESTAMP": "seconds",
}


def convert(
    files: Sequence[Path], mapping: Mapping, output: Path, scratch: Path
) -> tuple[int, Counter[str]]:
    """Append the interactions of some files to `output`; rows written and rejects by reason."""
    import duckdb

    part = scratch / "part.csv"
    try:
        counts = _convert(files, mapping, part, scratch)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise Invalid(f"The archive cannot be read: {error}") from None
    with output.open("ab") as whole, part.open("rb") as piece:
        while block := piece.read(1 << 20):
            whole.write(block)
    part.unlink()
    rejected: Counter[str] = Counter(dict(counts))
    return rejected.pop("", 0), rejected


def _convert(
    files: Sequence[Path], mapping: Mapping, part: Path, scratch: Path
) -> list[tuple[str, int]]:
    """Write the rows to `part`; how many calls ended with each reason ('' for none)."""
    import duckdb

    columns = ", ".join(f"{EXPRESSIONS[name]} AS {name}" for name in mapping.columns)
    with duckdb.connect(config={"memory_limit": f"{MEMORY_MIB}MiB"}) as connection:
        connection.execute(f"SET temp_directory = '{_quoted(str(scratch))}'")
        connection.execute(f"CREATE TEMP TABLE part AS {query(files, mapping)}")
        connection.execute(COPY.format(columns=columns, file=_quoted(str(part))))
        return list(
            connection.execute(
                "SELECT coalesce(reason, ''), count(*) FROM part GROUP BY ALL"
            ).fetchall()
        )


def query(files: Sequence[Path], mapping: Mapping) -> str:
    """Every call of the files as rows: an interaction, or the reason why it is none."""
    names = ", ".join(f"'{_quoted(str(file))}'" for file in files)
    columns = ", ".join(f"{field}: 'JSON'" for field in FIELDS)
    anonymous = _id("anonymousId") if _uses_anonymous_id(mapping) else "NULL"
    return f"""
    WITH calls AS (
        SELECT * FROM read_json([{names}], format = 'newline_delimited', ignore_errors = true,
            maximum_object_size = {LINE_MAX_BYTES}, columns = {{{columns}}})
    ), fields AS (
        SELECT coalesce(event, userId, anonymousId, properties, timestamp) IS NULL AS nothing,
            {_text("event")} AS event_type, {_id("userId")} AS user_id, {anonymous} AS anonymous_id,
            CASE WHEN json_type(properties) = 'OBJECT' THEN properties END AS properties,
            {_text("timestamp")} AS moment
        FROM calls
    ), timed AS (
        SELECT *, {_wanted(mapping)} AS wanted,
            CASE WHEN wanted THEN {_seconds("moment")} END AS seconds FROM fields
    ), checked AS (
        SELECT *, {_reason(mapping)} AS reason FROM timed
    ), itemised AS (
        SELECT * REPLACE (CASE WHEN reason IS NULL THEN properties END AS properties) FROM checked
    ), items AS (
        SELECT * EXCLUDE (properties), {_items(mapping)} AS item FROM itemised
    )
    SELECT CASE WHEN reason IS NULL AND item IS NULL THEN 'no_item_id' ELSE reason END AS reason,
        user_id, item AS item_id, event_type, seconds, anonymous_id, moment
    FROM items
    """


def _reason(mapping: Mapping) -> str:
    cases = [
        ("nothing", "not_a_call"),
        ("event_type IS NULL", "no_event"),
        ("NOT wanted", "event_not_wanted"),
        ("user_id IS NULL", "no_user_id"),
        ("properties IS NULL", "properties_not_object"),
        ("seconds IS NULL", "bad_timestamp"),
    ]
    if mapping.needs_anonymous_id:
        cases.insert(4, ("anonymous_id IS NULL", "no_anonymous_id"))
    return "CASE " + " ".join(f"WHEN {when} THEN '{name}'" for when, name in cases) + " END"


def _wanted(mapping: Mapping) -> str:
    events = ", ".join(f"'{_quoted(event)}'" for event in mapping.events)
    return f"coalesce(event_type IN ({events}), false)"


def _items(mapping: Mapping) -> str:
    """One item id of a call or, when it has products, one for each of them."""
    flat = f"[{_first_id('properties', mapping.item_keys)}]"
    if not mapping.products:
        return f"unnest({flat})"
    each = _first_id("product", mapping.item_keys)
    products = "json_extract(properties, '$.products[*]')"
    many = (
        "json_type(properties, '$.products') = 'ARRAY'"
        " AND json_array_length(properties, '$.products') > 0"
    )
    return f"unnest(CASE WHEN {many} THEN [{each} FOR product IN {products}] ELSE {flat} END)"


def _first_id(value: str, keys: Sequence[str]) -> str:
    found = ", ".join(_id(f"json_extract({value}, '{_quoted(_path(key))}')") for key in keys)
    return f"coalesce({found})"


def _path(key: str) -> str:
    return '$."' + key.replace('"', '\\"') + '"'


def _text(value: str) -> str:
    """The text of a JSON string, else NULL."""
    return f"CASE WHEN json_type({value}) = 'VARCHAR' THEN {value} ->> '$' END"


def _id(value: str) -> str:
    """A non-empty JSON string or an integer as text, else NULL."""
    return (
        f"CASE WHEN json_type({value}) = 'VARCHAR' THEN nullif({value} ->> '$', '')"
        f" WHEN regexp_full_match(CAST({value} AS VARCHAR), '{INTEGER}')"
        f" THEN CAST({value} AS VARCHAR) END"
    )


def _seconds(text: str) -> str:
    """Epoch seconds of an ISO text, whole seconds down; UTC when it names no offset; else NULL."""
    parts = {n: f"regexp_extract({text}, '{MOMENT}', {n})" for n in range(1, 7)}
    plain = f"{parts[1]} || ' ' || {parts[2]} || coalesce(nullif({parts[3]}, ''), ':00')"
    offset = (
        f"(CASE {parts[4]} WHEN '+' THEN 1 WHEN '-' THEN -1 ELSE 0 END)"
        f" * (coalesce(TRY_CAST({parts[5]} AS BIGINT), 0) * {SECONDS['h']}"
        f" + coalesce(TRY_CAST({parts[6]} AS BIGINT), 0) * {SECONDS['m']})"
    )
    whole = "CAST(epoch(TRY_CAST({} AS TIMESTAMP)) AS BIGINT)"
    usual = f"length({text}) = 24 AND regexp_full_match({text}, '{_USUAL}')"
    return (
        f"CASE WHEN {usual} THEN {whole.format(f'left({text}, 19)')}"
        f" WHEN regexp_full_match({text}, '{MOMENT}') THEN {whole.format(plain)} - {offset} END"
    )


# What Segment itself writes: the quick way for nearly every row.
_USUAL = "[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z"


def _uses_anonymous_id(mapping: Mapping) -> bool:
    return mapping.needs_anonymous_id or "ANONYMOUS_ID" in mapping.columns


def _quoted(text: str) -> str:
    return text.replace("'", "''")
