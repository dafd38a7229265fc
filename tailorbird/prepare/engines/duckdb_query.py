"""The rule as SQL for DuckDB: a row for each line, with its reason or its entries."""

from __future__ import annotations

from collections.abc import Sequence

from tailorbird.prepare.mapping import (
    ID_MAX_CHARACTERS,
    SECONDS_MAX,
    TEXT_MAX_CHARACTERS,
    Column,
    Dataset,
)
from tailorbird.prepare.paths import Path

LINE_MAX_BYTES = 16 * 1024 * 1024
INTEGER = "-?[1-9][0-9]*|0"
MOMENT = (
    "([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?"
    "(?:[.,]([0-9]+))?(?:Z|([+-])((?:[01][0-9]|2[0-3])):?([0-5][0-9])?)?"
)
# What Segment itself writes: the quick way for nearly every row.
USUAL = "[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z"
HOUR_SECONDS, MINUTE_SECONDS = 3600, 60
OWN = {
    "user": "user_id",
    "event": "event_type",
    "seconds": "seconds",
    "moment": "moment",
    "anonymous": "anonymous_id",
    "item": "entry.item",
}


def query(files: Sequence[str], dataset: Dataset, sample_characters: int) -> str:
    """Every line of the files: `reason`, or `entries` and what all of them share."""
    names = ", ".join(quoted(file) for file in files)
    roots = ", ".join(f"{_name(root)}: 'JSON'" for root in dataset.roots)
    shown = ", ".join(f"{quoted(_name(root) + ':')} || {_name(root)}" for root in dataset.roots)
    return f"""
    WITH calls AS (
        SELECT * FROM read_json([{names}], format = 'newline_delimited', ignore_errors = true,
            maximum_object_size = {LINE_MAX_BYTES}, filename = 'prepared file',
            columns = {{{roots}}})
    ), fields AS (
        SELECT *, coalesce({", ".join(map(_name, dataset.roots))}) IS NULL AS nothing,
            {_event(dataset)} AS event_name, {_wanted(dataset)} AS wanted,
            CASE WHEN wanted THEN {_first_id(dataset.user, dataset)} END AS user_id,
            CASE WHEN wanted THEN {_first_id(dataset.anonymous, dataset)} END AS anonymous_id,
            CASE WHEN wanted THEN {_text(_of_call(dataset.time))} END AS moment,
            CASE WHEN wanted THEN {_milliseconds("moment", dataset)} END AS milliseconds
        FROM calls
    ), checked AS (
        SELECT *, {_reason(dataset)} AS refused FROM fields
    ), listed AS (
        SELECT *, CASE WHEN refused IS NULL THEN {_entries(dataset)} END AS entries FROM checked
    )
    SELECT {_final_reason(dataset)} AS reason, {_event_type(dataset)} AS event_type, user_id,
        anonymous_id, CASE WHEN {bool_of(not dataset.latest)} THEN moment END AS moment,
        milliseconds, CAST(floor(milliseconds / 1000) AS BIGINT) AS seconds, entries,
        CASE WHEN reason IS NOT NULL THEN
            left(concat_ws(',', {shown}), {sample_characters}) END AS sample,
        "prepared file" AS file
    FROM listed
    """


def rows(dataset: Dataset) -> str:
    """The output's columns as text, of the rows that `query` made."""
    columns = [
        f"entry.c{n}" if column.paths else OWN[column.kind]
        for n, column in enumerate(dataset.columns)
    ]
    texts = [
        f"replace(CAST({column} AS VARCHAR), chr(92), repeat(chr(92), 2))" for column in columns
    ]
    if dataset.latest:
        key = "entry.item" if dataset.item else "user_id"
        texts = [f"replace({key}, chr(92), repeat(chr(92), 2))", "milliseconds", *texts]
    named = ", ".join(f"{text} AS c{n}" for n, text in enumerate(texts))
    some = "WHERE entry.item IS NOT NULL" if dataset.item else ""
    return (
        f"SELECT {named} FROM (SELECT *, unnest(entries) AS entry FROM made WHERE reason IS NULL)"
        f" {some}"
    )


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def bool_of(value: bool) -> str:
    return "true" if value else "false"


def _event(dataset: Dataset) -> str:
    return _text(_name("event")) if dataset.events else "NULL"


def _event_type(dataset: Dataset) -> str:
    if not dataset.event_types:
        return "event_name"
    cases = " ".join(f"WHEN {quoted(a)} THEN {quoted(b)}" for a, b in dataset.event_types)
    return f"CASE event_name {cases} END"


def _wanted(dataset: Dataset) -> str:
    wanted = []
    if dataset.types:
        types = ", ".join(map(quoted, dataset.types))
        wanted.append(f"coalesce({_text(_name('type'))} IN ({types}), false)")
    if dataset.events:
        events = ", ".join(map(quoted, dataset.events))
        wanted.append(f"coalesce(event_name IN ({events}), false)")
    return " AND ".join(wanted) or "true"


def _reason(dataset: Dataset) -> str:
    cases = [("nothing", "not_a_call")]
    if dataset.types:
        types = ", ".join(map(quoted, dataset.types))
        cases.append(
            (f"NOT coalesce({_text(_name('type'))} IN ({types}), false)", "type_not_wanted")
        )
    if dataset.events:
        cases += [("event_name IS NULL", "no_event"), ("NOT wanted", "event_not_wanted")]
    if dataset.user:
        cases.append(("user_id IS NULL", "no_user_id"))
    if dataset.needs_anonymous:
        cases.append(("anonymous_id IS NULL", "no_anonymous_id"))
    if dataset.needs_properties:
        cases.append(("json_type(properties) IS DISTINCT FROM 'OBJECT'", "properties_not_object"))
    if not dataset.literal:
        fits = f"milliseconds >= 0 AND milliseconds < {SECONDS_MAX * 1000}"
        cases.append((f"NOT coalesce({fits}, false)", "bad_timestamp"))
    return "CASE " + " ".join(f"WHEN {when} THEN '{name}'" for when, name in cases) + " END"


def _final_reason(dataset: Dataset) -> str:
    if not dataset.item:
        return "refused"
    none = "len(list_filter(entries, lambda e: e.item IS NOT NULL)) = 0"
    return f"CASE WHEN refused IS NULL AND {none} THEN 'no_item_id' ELSE refused END"


def _entries(dataset: Dataset) -> str:
    """The entries of a call: one, or one for each of the array's."""
    if not dataset.item:
        return f"[{_entry(dataset, 'NULL', None)}]"
    at = next((n for n, path in enumerate(dataset.item) if path.inner is not None), None)
    flat = [path for path in dataset.item if path.inner is None]
    if at is None or dataset.array is None:
        return f"[{_entry(dataset, _first_id(flat, dataset), None)}]"
    before, after = dataset.item[:at], [p for p in dataset.item[at:] if p.inner is None]
    array = _inside(_name(dataset.array[0]), dataset.array[1:])
    within = [path.inner for path in dataset.item if path.inner is not None]
    ids = ", ".join(_id(_inside("e", steps), dataset) for steps in within)
    first = _first_id(before, dataset)
    return (
        f"CASE WHEN {first} IS NOT NULL THEN [{_entry(dataset, first, None)}]"
        f" WHEN json_type({array}) = 'ARRAY' AND json_array_length({array}) > 0"
        f" THEN [{_entry(dataset, f'coalesce({ids})', 'e')} FOR e IN json_extract({array}, '$[*]')]"
        f" ELSE [{_entry(dataset, _first_id(after, dataset), None)}] END"
    )


def _entry(dataset: Dataset, item: str, entry: str | None) -> str:
    fields = [f"item: {item}"]
    for n, column in enumerate(dataset.columns):
        if column.paths:
            fields.append(f"c{n}: {_value(column, entry)}")
    return "{" + ", ".join(fields) + "}"


def _value(column: Column, entry: str | None) -> str:
    """The first of the column's fields that holds a value of its kind, as text."""
    ways = []
    for path in column.paths:
        if path.inner is None:
            ways.append(_scalar(_of_call(path), column.kind))
        elif entry is not None:
            ways.append(_scalar(_inside(entry, path.inner), column.kind))
    found = f"coalesce({', '.join(ways)})" if ways else "CAST(NULL AS VARCHAR)"
    return f"left({found}, {TEXT_MAX_CHARACTERS})"


def _of_call(path: Path) -> str:
    return _inside(_name(path.outer[0]), path.outer[1:])


def _inside(value: str, steps: Sequence[str]) -> str:
    if not steps:
        return value
    inner = "".join('."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"' for step in steps)
    return f"json_extract({value}, {quoted('$' + inner)})"


def _first_id(paths: Sequence[Path], dataset: Dataset) -> str:
    found = ", ".join(_id(_of_call(path), dataset) for path in paths)
    return f"coalesce({found})" if found else "CAST(NULL AS VARCHAR)"


def _id(value: str, dataset: Dataset) -> str:
    """A non-empty JSON string or an integer as text, else NULL."""
    if dataset.literal:
        return _scalar(value, "string")
    return (
        f"CASE WHEN json_type({value}) = 'VARCHAR'"
        f" THEN CASE WHEN length({value} ->> '$') BETWEEN 1 AND {ID_MAX_CHARACTERS}"
        f" THEN {value} ->> '$' END"
        f" WHEN regexp_full_match(CAST({value} AS VARCHAR), '{INTEGER}')"
        f" THEN CAST({value} AS VARCHAR) END"
    )


def _scalar(value: str, kind: str) -> str:
    text, kind_of = f"CAST({value} AS VARCHAR)", f"json_type({value})"
    boolean = f"WHEN {kind_of} = 'BOOLEAN' THEN {text}"
    integer = f"WHEN regexp_full_match({text}, '{INTEGER}') THEN {text}"
    double = f"TRY_CAST({value} AS DOUBLE)"
    number = f"WHEN {kind_of} = 'DOUBLE' AND isfinite({double}) THEN CAST({double} AS VARCHAR)"
    if kind == "string":
        ways = f"WHEN {kind_of} = 'VARCHAR' THEN {value} ->> '$' {boolean} {integer} {number}"
    elif kind == "boolean":
        ways = boolean
    else:
        ways = integer if kind in ("int", "long") else f"{integer} {number}"
    return f"CASE {ways} END"


def _text(value: str) -> str:
    """The text of a JSON string, else NULL."""
    return f"CASE WHEN json_type({value}) = 'VARCHAR' THEN {value} ->> '$' END"


def _milliseconds(text: str, dataset: Dataset) -> str:
    """Epoch milliseconds of an ISO text, down; UTC when it names no offset; else NULL."""
    whole = "CAST(epoch(TRY_CAST({} AS TIMESTAMP)) AS BIGINT) * 1000"
    usual = f"length({text}) = 24 AND regexp_full_match({text}, '{USUAL}')"
    quick = f"{whole.format(f'left({text}, 19)')} + CAST({text}[21:23] AS BIGINT)"
    if dataset.literal:
        return f"CASE WHEN {usual} THEN {quick} END"
    parts = {n: f"regexp_extract({text}, '{MOMENT}', {n})" for n in range(1, 8)}
    plain = f"{parts[1]} || ' ' || {parts[2]} || coalesce(nullif({parts[3]}, ''), ':00')"
    fraction = f"CAST(rpad(left({parts[4]}, 3), 3, '0') AS BIGINT)"
    offset = (
        f"(CASE {parts[5]} WHEN '+' THEN 1 WHEN '-' THEN -1 ELSE 0 END)"
        f" * (coalesce(TRY_CAST({parts[6]} AS BIGINT), 0) * {HOUR_SECONDS}"
        f" + coalesce(TRY_CAST({parts[7]} AS BIGINT), 0) * {MINUTE_SECONDS}) * 1000"
    )
    return (
        f"CASE WHEN {usual} THEN {quick} WHEN regexp_full_match({text}, '{MOMENT}')"
        f" THEN {whole.format(plain)} + {fraction} - {offset} END"
    )


def _name(root: str) -> str:
    return '"' + root.replace('"', '""') + '"'
