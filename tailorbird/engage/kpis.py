"""Standard metrics of applications and campaigns, added up from the counts by hour.

Values are text of a Double, as the service gives them; rates are fractions. A range is taken by
whole hours. Source: Pinpoint developer guide, "Standard metrics"; where it gives no key for a value
or a group, the words of the metric's name are the key. Journeys are not built.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.clock import parse_iso
from tailorbird.engage import apps, campaigns, counts, ledger, paging
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.message_events import EMAIL, SMS
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid

DAY_SECONDS = 86_400.0
DEFAULT_DAYS = 31
OLDEST_DAYS = 90
GROUPED = "-grouped-by-"
UNIQUE_DELIVERIES = "unique-deliveries"
ERRORS = "txn-sms-error-distribution"
KEYS = {"date": "Date", "campaign": "CampaignId", "campaign-activity": "CampaignActivityId",
        "country": "CountryCode", "error": "ErrorType"}  # fmt: skip
OF_CHANNEL = {"txn-emails-": EMAIL, "txn-sms-": SMS, "sms-": SMS}
WITH_ERROR = (counts.FAILED, "error")  # their detail is what went wrong
RUNS = ("", "campaign", "campaign-activity")


class Sums:
    """Counts of one group, by measure and channel."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows

    def of(self, measure: str, channel: str | None = None, without: Sequence[str] = ()) -> float:
        return float(
            sum(
                row.amount
                for row in self.rows
                if row.measure == measure
                and channel in (None, row.channel)
                and row.channel not in without
            )
        )

    @property
    def attempted(self) -> float:
        return self.of(counts.SENT) + self.of(counts.FAILED)

    @property
    def push(self) -> float:
        return self.of(counts.DELIVERED, None, (EMAIL, SMS, "CUSTOM"))


class Metric(NamedTuple):
    """How a metric is made, and what it may be grouped by (empty: not at all)."""

    value: Callable[[Sums], float | None]
    groups: tuple[str, ...]


def _rate(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _of(measure: str, channel: str | None = None) -> Callable[[Sums], float]:
    return lambda sums: sums.of(measure, channel)


CAMPAIGN_METRICS: dict[str, Metric] = {
    "successful-delivery-rate": Metric(
        lambda s: _rate(s.of(counts.DELIVERED), s.attempted), ("", "date", "campaign-activity")
    ),
    UNIQUE_DELIVERIES: Metric(lambda s: s.of(counts.SENT), (*RUNS, "date")),
    "successful-deliveries": Metric(_of(counts.DELIVERED), RUNS[1:]),
    "attempted-deliveries": Metric(lambda s: s.attempted, RUNS[2:]),
    "email-open-rate": Metric(
        lambda s: _rate(s.of(counts.UNIQUE_OPEN, EMAIL), s.of(counts.DELIVERED, EMAIL)), RUNS
    ),
    "hard-bounce-rate": Metric(
        lambda s: _rate(s.of(counts.HARD_BOUNCE, EMAIL), s.of(counts.SENT, EMAIL)),
        ("", "campaign-activity"),
    ),
    "push-open-rate": Metric(lambda s: _rate(s.of(counts.OPEN, "GCM"), s.push), RUNS),
    "clicks": Metric(_of(counts.CLICK, EMAIL), RUNS[2:]),
    "direct-email-opens": Metric(_of(counts.UNIQUE_OPEN, EMAIL), RUNS[2:]),
    "direct-push-opens": Metric(_of(counts.OPEN, "GCM"), RUNS[2:]),
    "sms-spend": Metric(_of(counts.PRICE, SMS), ("",)),
}
_MAIL = ("", "date")
_TEXT = ("", "date", "country")
DIRECT_METRICS: dict[str, Metric] = {
    **{
        f"txn-emails-{name}": Metric(_of(measure, EMAIL), _MAIL)
        for name, measure in {
            "sent": counts.SENT, "delivered": counts.DELIVERED, "opened": counts.OPEN,
            "unique-opens": counts.UNIQUE_OPEN, "clicked": counts.CLICK,
            "unique-clicks": counts.UNIQUE_CLICK, "hard-bounced": counts.HARD_BOUNCE,
            "soft-bounced": counts.SOFT_BOUNCE, "with-complaints": counts.COMPLAINT,
        }.items()
    },
    "txn-emails-delivery-rate": Metric(
        lambda s: _rate(s.of(counts.DELIVERED, EMAIL), s.of(counts.SENT, EMAIL)), _MAIL
    ),
    "txn-emails-complaint-rate": Metric(
        lambda s: _rate(s.of(counts.COMPLAINT, EMAIL), s.of(counts.SENT, EMAIL)), _MAIL
    ),
    **{
        f"txn-sms-{name}": Metric(_of(measure, SMS), _TEXT)
        for name, measure in {
            "sent": counts.SENT, "delivered": counts.DELIVERED, "sent-by-parts": counts.PARTS,
            "delivered-by-parts": counts.DELIVERED_PARTS,
        }.items()
    },
    "txn-sms-delivery-rate": Metric(
        lambda s: _rate(s.of(counts.DELIVERED, SMS), s.of(counts.SENT, SMS)), _TEXT
    ),
    "txn-sms-total-price": Metric(_of(counts.PRICE, SMS), ("country",)),
    "txn-sms-average-price": Metric(
        lambda s: _rate(s.of(counts.PRICE, SMS), s.of(counts.SENT, SMS)), ("country",)
    ),
    "txn-sms-average-price-by-parts": Metric(
        lambda s: _rate(s.of(counts.PRICE, SMS), s.of(counts.PARTS, SMS)), ("country",)
    ),
}  # fmt: skip


def names(metrics: dict[str, Metric]) -> list[str]:
    """Every kpi-name of some metrics."""
    found = [
        name + (f"{GROUPED}{group}" if group else "")
        for name, metric in metrics.items()
        for group in metric.groups
    ]
    return [*found, ERRORS] if metrics is DIRECT_METRICS else found


def get_application_kpi(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A metric of all campaigns, or of direct messages, of an application."""
    name = request["KpiName"]
    first, last = _range(room, request)
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
    direct = name.startswith("txn-")
    _check_name(name, {**CAMPAIGN_METRICS, **DIRECT_METRICS})
    found = counts.read(room, app.number, _hour(first), _hour(last), None)
    if name != "sms-spend":
        found = [row for row in found if bool(row.campaign_id) is not direct]
    rows = _rows(room, app, name, found, first, last)
    answer = {"ApplicationId": app.id, **_answer(request, name, rows, first, last)}
    return {"ApplicationDateRangeKpiResponse": answer}


def get_campaign_kpi(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """A metric of one campaign."""
    name = request["KpiName"]
    first, last = _range(room, request)
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        campaigns.find(conn, app, request["CampaignId"])
    _check_name(name, CAMPAIGN_METRICS)
    campaign_id = request["CampaignId"]
    found = counts.read(room, app.number, _hour(first), _hour(last), campaign_id)
    rows = _rows(room, app, name, found, first, last)
    answer = {"ApplicationId": app.id, "CampaignId": campaign_id,
              **_answer(request, name, rows, first, last)}  # fmt: skip
    return {"CampaignDateRangeKpiResponse": answer}


def _check_name(name: str, metrics: dict[str, Metric]) -> None:
    base, _, group = name.partition(GROUPED)
    metric = metrics.get(base)
    if name == ERRORS and "txn-sms-sent" in metrics:
        return
    if metric is None or group not in metric.groups:
        right = sorted(names(metrics))
        raise Invalid(f"kpi-name {name!r} is no metric here; right are {', '.join(right)}")


def _rows(
    room: Engage, app: App, name: str, found: Sequence[Any], first: float, last: float
) -> list[dict[str, Any]]:
    base, _, group = name.partition(GROUPED)
    channel = next((c for start, c in OF_CHANNEL.items() if name.startswith(start)), None)
    found = [row for row in found if channel in (None, row.channel)]
    if name == ERRORS:
        group = "error"
        found = [row for row in found if row.measure in WITH_ERROR]
    if group == "country":
        found = [row for row in found if row.measure not in WITH_ERROR]
    groups: dict[str, list[Any]] = {}
    for row in found:
        groups.setdefault(_group(row, group), []).append(row)
    rows = []
    for value in sorted(groups):
        mine = groups[value]
        amount = _value(room, app, base, mine, first, last)
        if amount is None:
            continue
        grouped = [_cell(KEYS[group], "String", value)] if group else []
        values = [_cell(_key(base), "Double", str(float(amount)))]
        rows.append({"GroupedBys": grouped, "Values": values})
    return rows


def _value(
    room: Engage, app: App, base: str, mine: Sequence[Any], first: float, last: float
) -> float | None:
    if base == ERRORS:
        return float(sum(row.amount for row in mine))
    if base == UNIQUE_DELIVERIES:
        return _unique(room, app, mine, first, last)
    metric = CAMPAIGN_METRICS.get(base) or DIRECT_METRICS[base]
    return metric.value(Sums(mine))


def _unique(room: Engage, app: App, mine: Sequence[Any], first: float, last: float) -> float:
    """Endpoints that were sent to: in one run each is there once, in several the ledger knows."""
    sent = [row for row in mine if row.measure == counts.SENT]
    runs = {row.activity_id for row in sent}
    if len(runs) < 2:
        return float(sum(row.amount for row in sent))
    hours = [row.hour for row in sent]
    begin = max(first, min(hours) * counts.HOUR_SECONDS)
    end = min(last, (max(hours) + 1) * counts.HOUR_SECONDS)
    c, a = t.ledger.c, t.activities.c
    query = (
        sa.select(sa.func.count(sa.distinct(c.endpoint)))
        .join_from(t.ledger, t.activities, a.number == c.activity)
        .where(
            a.application_id == app.id, a.id.in_(runs), c.state == ledger.SENT,
            c.moment >= counts.HOUR_SECONDS * (begin // counts.HOUR_SECONDS), c.moment <= end,
        )
    )  # fmt: skip
    with room.db.read() as conn:
        return float(conn.execute(query).scalar_one())


def _group(row: Any, group: str) -> str:
    if group == "date":
        return datetime.fromtimestamp(row.hour * counts.HOUR_SECONDS, UTC).strftime("%Y-%m-%d")
    if group == "campaign":
        return str(row.campaign_id)
    if group == "campaign-activity":
        return str(row.activity_id)
    return str(row.detail) if group in ("country", "error") else ""


def _key(base: str) -> str:
    return "".join(word.capitalize() for word in base.split("-"))


def _cell(key: str, kind: str, value: str) -> dict[str, str]:
    return {"Key": key, "Type": kind, "Value": value}


def _range(room: Engage, request: dict[str, Any]) -> tuple[float, float]:
    """The asked-for range; without one, the last 31 days."""
    now, days = room.clock.now(), room.settings.engage_kpi_days
    last = _moment(request.get("EndTime"), "end-time", now)
    first = _moment(request.get("StartTime"), "start-time", last - DEFAULT_DAYS * DAY_SECONDS)
    if first > last:
        raise Invalid("start-time is after end-time")
    if days and last - first > days * DAY_SECONDS:
        raise Invalid(f"The range has more than {days} days (setting engage_kpi_days)")
    if days and first < now - OLDEST_DAYS * DAY_SECONDS:
        raise Invalid(f"start-time is more than {OLDEST_DAYS} days ago")
    return first, last


def _moment(given: Any, name: str, default: float) -> float:
    if given is None:
        return default
    if isinstance(given, datetime):
        return given.timestamp()
    if isinstance(given, int | float):
        return float(given)
    try:
        return parse_iso(given)
    except ValueError:
        raise Invalid(f"{name} {given!r} is not ISO 8601 (2026-11-21T18:00:00Z is)") from None


def _hour(moment: float) -> int:
    return int(moment // counts.HOUR_SECONDS)


def _answer(
    request: dict[str, Any], name: str, rows: Iterable[dict[str, Any]], first: float, last: float
) -> dict[str, Any]:
    found, start = list(rows), _start(request.get("NextToken"))
    size = paging.size_of(request) if request.get("PageSize") else len(found) or 1
    answer = {
        "KpiName": name, "StartTime": first, "EndTime": last,
        "KpiResult": {"Rows": found[start : start + size]},
    }  # fmt: skip
    if start + size < len(found):
        answer["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise Invalid("next-token is not one that an earlier page gave as NextToken") from None
