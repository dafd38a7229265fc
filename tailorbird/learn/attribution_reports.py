"""Reports of metric attributions: figures by source, in intervals of fifteen minutes, as CSV.

The source of an event is its eventAttributionSource, else the campaign or recommender whose
recommendationId it names, else SOURCE_NAME_UNDEFINED.
Source: Personalize developer guide, "Publishing metric attribution reports to Amazon S3".
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.errors import NotFound
from tailorbird.learn import attribution_schedule, metadata, parts, records, sources
from tailorbird.learn.attributions import COUNT, Metric, metrics
from tailorbird.learn.metadata import ID_COLUMN
from tailorbird.learn.room import Learn
from tailorbird.learn.rows import column_name
from tailorbird.learn.tables import learn_datasets, learn_events, learn_metric_attributions
from tailorbird.store import Job

KIND, QUEUE = attribution_schedule.KIND, attribution_schedule.QUEUE
INTERVAL_SECONDS = 900
UNDEFINED = "SOURCE_NAME_UNDEFINED"
HEADER = (
    "METRIC_NAME",
    "EVENT_TYPE",
    "VALUE",
    "MATH_FUNCTION",
    "EVENT_ATTRIBUTION_SOURCE",
    "TIMESTAMP",
)
LIVE, BULK = "PutEvents", "BulkImport"
SETTLED_SECONDS = 5.0  # younger events may have neighbours that are not committed yet

# time, event type, source, item, values of the interaction's own columns
Taken = tuple[float, str, str, str, Mapping[str, Any]]
Figures = dict[tuple[str, str, int], float]  # metric, source, start of the interval


def run(room: Learn, job: Job) -> None:
    """The job: write what live events added since the last report, and wait for the next time."""
    arn = job.payload["arn"]
    table = learn_metric_attributions
    with room.db.read() as conn:
        row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
    if row is None:
        with room.db.write() as conn:
            job.finish(conn)
        return
    until = room.clock.now() - SETTLED_SECONDS
    with room.db.read() as conn:
        found = figures(room, conn, row, _live(conn, row, row["reported"], until))
    write(room, row, LIVE, row["reported"], found)  # written again after a crash: the same name
    with room.db.write() as conn:
        conn.execute(sa.update(table).where(table.c.arn == arn).values(reported=until))
        attribution_schedule.enqueue(room, conn, arn)
        job.finish(conn, {"figures": len(found)})


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    """One report that failed does not end the schedule."""
    attribution_schedule.enqueue(room, conn, job.payload["arn"])


def now(room: Learn, of: str) -> dict[str, Any]:
    """All figures of live events since the metric attribution (ARN or name) was made."""
    table = learn_metric_attributions
    with room.db.read() as conn:
        query = sa.select(table).where(sa.or_(table.c.arn == of, table.c.name == of))
        row = conn.execute(query.limit(1)).mappings().first()
        if row is None:
            raise NotFound(f"There is no metric attribution {of}; its ARN or name is right")
        found = of_live_events(room, conn, row)
    return {
        "metricAttributionArn": row["arn"],
        "rows": [dict(zip(HEADER, line, strict=True)) for line in _lines(row, found)],
    }


def of_live_events(room: Learn, conn: Connection, row: records.Row) -> Figures:
    """All figures of live events since the metric attribution was made."""
    return figures(room, conn, row, _live(conn, row, row["created"], room.clock.now()))


def publish_import(room: Learn, conn: Connection, dataset: str, part: parts.Part) -> int:
    """Write a report of one import for each metric attribution of the group; how many."""
    groups = sa.select(learn_datasets.c.group_arn).where(learn_datasets.c.arn == dataset)
    table = learn_metric_attributions
    query = sa.select(table).where(table.c.group_arn == groups.scalar_subquery())
    rows = conn.execute(query).mappings().fetchall()
    for row in rows:
        found = figures(room, conn, row, _imported(conn, row, part))
        write(room, row, BULK, room.clock.now(), found)
    return len(rows)


def figures(room: Learn, conn: Connection, row: records.Row, taken: Iterable[Taken]) -> Figures:
    """The metrics' values by source and interval."""
    wanted = metrics(row["definition"]["metrics"])
    items = metadata.of(room, row["group_arn"], "ITEMS")
    found: Figures = {}
    for moment, kind, source, item, own in taken:
        start = int(moment // INTERVAL_SECONDS) * INTERVAL_SECONDS
        for one in wanted:
            if one.event_type.lower() != kind.lower():
                continue
            value = _value(one, item, own, items)
            if value is not None:
                key = (one.name, source, start)
                found[key] = found.get(key, 0.0) + value
    return found


def write(room: Learn, row: records.Row, method: str, moment: float, found: Figures) -> str | None:
    """The report's address; None when there is nothing to say or nowhere to say it."""
    config = row["definition"]["metricsOutputConfig"].get("s3DataDestination") or {}
    if not found or not config.get("path"):
        return None
    seconds = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(moment))
    name = f"AggregatedAttributionMetrics - {method} - {seconds}.{moment % 1 * 1000:03.0f}Z.csv"
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(HEADER)
    lines.writerows(_lines(row, found))
    uri = f"{config['path'].rstrip('/')}/{name}"
    room.objects.put(uri, text.getvalue().encode())
    return uri


def _lines(row: records.Row, found: Figures) -> Iterator[tuple[Any, ...]]:
    by_name = {one.name: one for one in metrics(row["definition"]["metrics"])}
    for (name, source, start), value in sorted(found.items(), key=lambda one: one[0]):
        one = by_name[name]
        yield name, one.event_type, round(value, 6), one.function, source, start


def _value(
    one: Metric, item: str, own: Mapping[str, Any], items: metadata.Table | None
) -> float | None:
    if one.function == COUNT:
        return 1.0
    if one.dataset == "ITEMS":
        value = None if items is None else items.record(item).get(one.column)
    else:
        value = own.get(one.column)
    try:
        number = None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _live(conn: Connection, row: records.Row, after: float, until: float) -> Iterator[Taken]:
    """Live events received in a span of time."""
    c = learn_events.c
    known = sources.by_mark(conn, row["group_arn"])
    query = (
        sa.select(c.time, c.event_type, c.item_id, c.event_value, c.details)
        .where(c.group_arn == row["group_arn"], c.received > after, c.received <= until)
        .order_by(c.id)
    )
    for moment, kind, item, value, details in conn.execute(query):
        attribution = details.get("metricAttribution") or {}
        given = attribution.get("eventAttributionSource")
        source = given or known.get(sources.mark(details.get("recommendationId") or ""), UNDEFINED)
        own = {column_name(key): one for key, one in (details.get("properties") or {}).items()}
        own |= {"EVENT_VALUE": value, "TIMESTAMP": moment}
        yield moment, kind, source, item or "", own


def _imported(conn: Connection, row: records.Row, part: parts.Part) -> Iterator[Taken]:
    """The rows of one import."""
    known = sources.by_mark(conn, row["group_arn"])
    texts = {
        name: [values[n] for n in codes.tolist()] for name, (codes, values) in part.strings.items()
    }
    numbers = {name: values.tolist() for name, values in part.numbers.items()}
    blank = [""] * len(part)
    kinds, items = texts.get("EVENT_TYPE", blank), texts.get(ID_COLUMN["ITEMS"], blank)
    given = texts.get("EVENT_ATTRIBUTION_SOURCE", blank)
    lists = texts.get("RECOMMENDATION_ID", blank)
    for n, moment in enumerate(numbers["TIMESTAMP"]):
        source = given[n] or known.get(sources.mark(lists[n]), UNDEFINED)
        own = {name: values[n] for name, values in numbers.items() if values[n] == values[n]}
        yield moment, kinds[n], source, items[n], own
