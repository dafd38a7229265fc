"""Metric attributions: which events count towards which figure, by the source that led to them.

Source: Personalize developer guide, "Measuring the impact of recommendations".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import AlreadyExists, Invalid, LimitExceeded, NotFound
from tailorbird.learn import attribution_schedule, datasets, records
from tailorbird.learn.metadata import NUMERIC
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_dataset_groups, learn_metric_attributions
from tailorbird.store import location

MAX_METRICS = 10
SUM, COUNT = "sum", "samplecount"
TABLE = learn_metric_attributions
WHAT = "metric attribution"
EXPRESSION = re.compile(
    r"\s*(?:(SAMPLECOUNT)\s*\(\s*\)|(SUM)\s*\(\s*(Items|Interactions)\s*\.\s*(\w+)\s*\))\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Metric:
    """One figure: events of a type, counted, or a column of theirs or of their items summed."""

    name: str
    event_type: str
    function: str
    dataset: str = ""
    column: str = ""


def create_metric_attribution(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """A new metric attribution, ACTIVE at once; it counts what comes from now on."""
    arn = records.arn_of(caller, f"metric-attribution/{request['name']}")
    group_arn = request["datasetGroupArn"]
    _check_output(request["metricsOutputConfig"])
    with room.db.write() as conn:
        records.active(conn, learn_dataset_groups, caller, group_arn, "dataset group")
        _check_metrics(conn, group_arn, request["metrics"])
        records.add(
            room,
            conn,
            TABLE,
            caller,
            WHAT,
            arn=arn,
            name=request["name"],
            status=records.ACTIVE,
            definition=request,
            group_arn=group_arn,
            reported=room.clock.now(),
        )
        attribution_schedule.enqueue(room, conn, arn)
    return {"metricAttributionArn": arn}


def describe_metric_attribution(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        row = records.find(conn, TABLE, caller, request["metricAttributionArn"], WHAT)
    shown = _summary(row) | {"datasetGroupArn": row["group_arn"]}
    return {"metricAttribution": shown | records.given(row, "metricsOutputConfig")}


def list_metric_attributions(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """All metric attributions, or those of a dataset group."""
    group = request.get("datasetGroupArn")
    where = () if group is None else (TABLE.c.group_arn == group,)
    return records.page(room, TABLE, caller, request, "metricAttributions", _summary, *where)


def list_metric_attribution_metrics(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """The metrics of a metric attribution, in the order they were given."""
    arn = request.get("metricAttributionArn")
    if not arn:
        raise Invalid("metricAttributionArn is missing")
    try:
        with room.db.read() as conn:
            given = records.find(conn, TABLE, caller, arn, WHAT)["definition"]["metrics"]
    except NotFound as error:  # the service's model knows no other refusal here
        raise Invalid(error.message) from None
    shown, more = records.page_of(given, "metrics", request, caller)
    return {"metrics": shown} | ({"nextToken": more} if more else {})


def update_metric_attribution(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Add and remove metrics, change where reports go; all of it or nothing."""
    arn = request.get("metricAttributionArn")
    if not arn:
        raise Invalid("metricAttributionArn is missing")
    with room.db.write() as conn:
        row = records.active(conn, TABLE, caller, arn, WHAT)
        definition = dict(row["definition"])
        if request.get("metricsOutputConfig"):
            _check_output(request["metricsOutputConfig"])
            definition["metricsOutputConfig"] = request["metricsOutputConfig"]
        definition["metrics"] = _changed(definition["metrics"], request)
        _check_metrics(conn, row["group_arn"], definition["metrics"])
        records.change(room, conn, TABLE, arn, definition=definition)
    return {"metricAttributionArn": arn}


def delete_metric_attribution(room: Learn, caller: Caller, request: dict[str, Any]) -> None:
    """Gone; the reports it wrote stay."""
    arn = request["metricAttributionArn"]
    with room.db.write() as conn:
        records.deletable(conn, TABLE, caller, arn, WHAT)
        records.remove(conn, TABLE, arn)


def metrics(given: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """The metrics of a definition; Invalid names the one whose expression cannot be."""
    return [_metric(one, n) for n, one in enumerate(given)]


def _metric(given: Mapping[str, Any], number: int) -> Metric:
    match = EXPRESSION.fullmatch(given["expression"])
    if match is None:
        raise Invalid(
            f"metrics[{number}].expression is {given['expression']!r}; SAMPLECOUNT(), "
            "SUM(Items.COLUMN) or SUM(Interactions.COLUMN) is right"
        )
    name, kind = given["metricName"], given["eventType"]
    if not name or not kind:
        raise Invalid(f"metrics[{number}]: metricName and eventType may not be empty")
    if match[1]:
        return Metric(name, kind, COUNT)
    return Metric(name, kind, SUM, match[3].upper(), match[4].upper())


def _check_metrics(conn: Connection, group: str, given: list[dict[str, Any]]) -> None:
    if not given:
        raise Invalid("metrics is empty; at least one metric is right")
    if len(given) > MAX_METRICS:
        raise LimitExceeded(f"{len(given)} metrics; a metric attribution has {MAX_METRICS} at most")
    found = metrics(given)
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise AlreadyExists(f"There are two metrics called {name}; metric names are unique")
    for one in found:
        if one.function == SUM:
            _check_column(conn, group, one)


def _check_column(conn: Connection, group: str, one: Metric) -> None:
    schema = datasets.schema_of(conn, group, one.dataset)
    if schema is None:
        raise Invalid(
            f"The metric {one.name} sums a column of {one.dataset}; the dataset group has no such "
            "dataset"
        )
    types = {column.name: column.type for column in schema.columns}
    if types.get(one.column) not in NUMERIC:
        numbers = ", ".join(name for name, kind in types.items() if kind in NUMERIC) or "none"
        raise Invalid(
            f"The metric {one.name} sums {one.dataset}.{one.column}, which is no column of "
            f"numbers; these are: {numbers}"
        )


def _check_output(config: dict[str, Any]) -> None:
    path = (config.get("s3DataDestination") or {}).get("path")
    if path is None:
        return
    if not path.startswith("s3://"):
        raise Invalid(
            f"metricsOutputConfig.s3DataDestination.path is {path!r}; s3://bucket/folder/ is right"
        )
    location(path)


def _changed(given: list[dict[str, Any]], request: dict[str, Any]) -> list[dict[str, Any]]:
    gone = request.get("removeMetrics") or []
    names = {one["metricName"] for one in given}
    for name in gone:
        if name not in names:
            raise NotFound(
                f"removeMetrics: there is no metric {name!r}; there are {', '.join(sorted(names))}"
            )
    return [one for one in given if one["metricName"] not in gone] + (
        request.get("addMetrics") or []
    )


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "metricAttributionArn": row["arn"]}
    return shown | records.state(row) | records.times(row)
