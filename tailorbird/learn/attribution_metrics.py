"""Figures of metric attributions as CloudWatch tells them: namespace AWS/Personalize.

A metric is the attribution's, in capitals, by EventAttributionSource and DatasetGroupArn, as AWS's
notebook "Measure impact of recommendations" reads it. It counts live events, in intervals of
fifteen minutes, at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt
from tailorbird.learn import attribution_reports, records
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_metric_attributions

NAMESPACE = "AWS/Personalize"
SOURCE, GROUP = "EventAttributionSource", "DatasetGroupArn"
PAGE_SIZE = 500
SUM = "Sum"

Identity = tuple[str, str, str]  # metric, source, dataset group
Series = dict[Identity, dict[int, float]]  # value by start of the interval


def list_metrics(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The metrics that have figures; none in other namespaces."""
    if request.get("Namespace", NAMESPACE) != NAMESPACE:
        return {"Metrics": []}
    wanted = request.get("MetricName")
    found = [
        one
        for one in sorted(_series(room, caller))
        if wanted in (None, one[0]) and _fits(one, request.get("Dimensions") or [])
    ]
    named = {**request, "maxResults": PAGE_SIZE}
    shown, more = records.page_of(found, "Metrics", named, caller)
    answer: dict[str, Any] = {"Metrics": [_shown(one) for one in shown]}
    return answer | ({"NextToken": more} if more else {})


def get_metric_data(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Sums by period, the newest first unless ScanBy says otherwise; empty for unknown metrics."""
    start, end = request["StartTime"], request["EndTime"]
    if start >= end:
        message = "The parameter StartTime must be less than the parameter EndTime"
        raise Invalid(message, code="ValidationError")
    series = _series(room, caller)
    newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = []
    for query in request["MetricDataQueries"]:
        stat = _stat(query)
        points = _points(series.get(_identity(stat["Metric"]), {}), start, end, stat["Period"])
        times = sorted(points, reverse=newest_first)
        results.append(
            {
                "Id": query["Id"],
                "Label": query.get("Label") or stat["Metric"].get("MetricName", ""),
                "Timestamps": times,
                "Values": [points[one] for one in times],
                "StatusCode": "Complete",
            }
        )
    return {"MetricDataResults": results, "Messages": []}


def _stat(query: dict[str, Any]) -> dict[str, Any]:
    stat: dict[str, Any] | None = query.get("MetricStat")
    if stat is None:
        raise NotBuilt(f"The query {query['Id']!r} has an Expression; MetricStat is built")
    if stat["Stat"] != SUM:
        raise NotBuilt(f"The query {query['Id']!r} asks for {stat['Stat']}; Stat Sum is built")
    return stat


def _series(room: Learn, caller: Caller) -> Series:
    """All figures of the caller's metric attributions."""
    table = learn_metric_attributions
    found: Series = {}
    mine = sa.and_(table.c.account == caller.account, table.c.region == caller.region)
    with room.db.read() as conn:
        for row in conn.execute(sa.select(table).where(mine)).mappings().fetchall():
            figures = attribution_reports.of_live_events(room, conn, row)
            for (name, source, start), value in figures.items():
                one = (name.upper(), source.upper(), row["group_arn"])
                found.setdefault(one, {})[start] = value
    return found


def _points(values: dict[int, float], start: float, end: float, period: int) -> dict[int, float]:
    """Values by start of the period; the period is no shorter than the intervals kept."""
    period = max(period, attribution_reports.INTERVAL_SECONDS)
    found: dict[int, float] = {}
    for moment, value in values.items():
        begin = moment // period * period
        if start // period * period <= begin < end:
            found[begin] = found.get(begin, 0.0) + value
    return found


def _identity(metric: dict[str, Any]) -> Identity:
    if metric.get("Namespace") != NAMESPACE:
        return "", "", ""
    given = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
    return metric.get("MetricName", ""), given.get(SOURCE, ""), given.get(GROUP, "")


def _fits(one: Identity, filters: list[dict[str, Any]]) -> bool:
    own = dict(_dimensions(one))
    return all(f["Name"] in own and f.get("Value") in (None, own[f["Name"]]) for f in filters)


def _dimensions(one: Identity) -> Iterator[tuple[str, str]]:
    yield SOURCE, one[1]
    yield GROUP, one[2]


def _shown(one: Identity) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in _dimensions(one)]
    return {"Namespace": NAMESPACE, "MetricName": one[0], "Dimensions": dimensions}
