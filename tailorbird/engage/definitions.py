"""One endpoint's definition: how an update merges into it, and the forms it is shown in. Pure.

Rules: Pinpoint API reference, "EndpointRequest"; Pinpoint developer guide, "Quotas".
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from tailorbird import clock
from tailorbird.clock import parse_iso
from tailorbird.engage.bulk import has_nul
from tailorbird.errors import Invalid, TooLarge
from tailorbird.settings import Settings

MAX_NAME_CHARS = 50
COHORTS = 100
CHANNELS = (
    "PUSH", "GCM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX", "ADM", "SMS", "VOICE",
    "EMAIL", "BAIDU", "CUSTOM", "IN_APP",
)  # fmt: skip
PUSH_CHANNELS = frozenset(
    ("ADM", "GCM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX", "BAIDU")
)
STATUSES = ("ACTIVE", "INACTIVE")
OPT_OUTS = ("ALL", "NONE")
COORDINATES = ("Latitude", "Longitude")
TEXTS = {str}
FIELDS = frozenset(
    ("Address", "Attributes", "ChannelType", "Demographic", "EffectiveDate", "EndpointStatus", "Id",
     "Location", "Metrics", "OptOut", "RequestId", "User")
)  # fmt: skip
_SHOWN_PARTS = ("RequestId", "Location", "Demographic", "Attributes", "Metrics")
iso = lru_cache(maxsize=8192)(clock.iso)  # endpoints of one batch share their moments
_FORBIDDEN_IN_ID = re.compile(r"[${}\x00]")


@dataclass(frozen=True)
class Limits:
    """Pinpoint's quotas for one endpoint; 0 lifts one."""

    values: int = 50
    value_chars: int = 100
    bytes: int = 15 * 1024

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            settings.engage_max_attribute_values,
            settings.engage_max_attribute_value_chars,
            settings.engage_max_endpoint_kb * 1024,
        )


@dataclass(slots=True)
class Endpoint:
    """A row of `engage_endpoints`; `body` is the part of the definition without a column."""

    key: str
    id: str
    user_id: str | None = None
    channel: str | None = None
    address: str | None = None
    opt_out: str = "NONE"
    status: str = "ACTIVE"
    cohort: int = 0
    effective: float = 0.0
    created: float = 0.0
    body: dict[str, Any] = field(default_factory=dict)


def key_of(endpoint_id: Any) -> str:
    """Ids are the same in any case; `$ { }` are not allowed in them."""
    if not isinstance(endpoint_id, str) or not endpoint_id or _FORBIDDEN_IN_ID.search(endpoint_id):
        raise Invalid(f"Endpoint id {endpoint_id!r}: a text without $, {{ and }} is right")
    return endpoint_id.casefold()


def new(app_id: str, endpoint_id: str, now: float) -> Endpoint:
    key = key_of(endpoint_id)
    cohort = zlib.crc32(f"{app_id}:{key}".encode()) % COHORTS
    return Endpoint(key, endpoint_id, cohort=cohort, effective=now, created=now)


def merge(
    endpoint: Endpoint,
    given: dict[str, Any],
    user_attributes: dict[str, dict[str, Any]],
    now: float,
    limits: Limits,
) -> None:
    """Lay an update over an endpoint. User attributes go to the person: `user_attributes[user
    id]`.
    """
    if not given.keys() <= FIELDS:
        unknown = sorted(given.keys() - FIELDS)[0]
        raise Invalid(f"Endpoint {endpoint.id}: there is no field {unknown!r}")
    endpoint.channel = _choice(endpoint, given, "ChannelType", CHANNELS, endpoint.channel)
    endpoint.opt_out = _choice(endpoint, given, "OptOut", OPT_OUTS, endpoint.opt_out) or "NONE"
    endpoint.status = _choice(endpoint, given, "EndpointStatus", STATUSES, None) or "ACTIVE"
    if given.get("Address") is not None:
        endpoint.address = str(given["Address"]) or None
    endpoint.effective = _instant(endpoint, given.get("EffectiveDate"), now)
    if given.get("RequestId"):
        endpoint.body["RequestId"] = str(given["RequestId"])
    if given.get("Attributes"):
        _merge_lists(endpoint, "Attributes", given["Attributes"], endpoint.body, limits)
    if given.get("Metrics"):
        _merge_metrics(endpoint, given["Metrics"])
    if given.get("Demographic"):
        _merge_members(endpoint, "Demographic", given["Demographic"])
    if given.get("Location"):
        _merge_members(endpoint, "Location", _rounded(endpoint, given["Location"]))
    if given.get("User"):
        _merge_user(endpoint, given["User"], user_attributes, limits)


def document(endpoint: Endpoint, limits: Limits) -> str:
    """The stored part as JSON; Invalid for text no database keeps, TooLarge over the limit."""
    try:
        written = orjson.dumps(endpoint.body)
    except (TypeError, ValueError) as error:
        raise Invalid(f"Endpoint {endpoint.id}: {error}") from None
    text = written.decode()
    if has_nul(text) or "\x00" in (endpoint.address or "") + (endpoint.user_id or ""):
        raise Invalid(f"Endpoint {endpoint.id}: a value holds the character NUL")
    columns = (endpoint.id, endpoint.address or "", endpoint.user_id or "")
    size = len(written) + sum(map(len, columns))
    if limits.bytes and size > limits.bytes:
        raise TooLarge(f"Endpoint {endpoint.id[:60]} has {size} bytes; {limits.bytes} is the limit")
    return text


def definition(endpoint: Endpoint, user_attributes: dict[str, Any] | None) -> dict[str, Any]:
    """The definition as a hook, a template and GetEndpoint see it; parts nobody set are absent."""
    return shown_parts(
        endpoint.channel, endpoint.address, endpoint.status, endpoint.opt_out, endpoint.effective,
        endpoint.created, endpoint.body, endpoint.user_id, user_attributes,
    )  # fmt: skip


def shown_parts(
    channel: str | None, address: str | None, status: str, opt_out: str, effective: float,
    created: float, body: dict[str, Any], user_id: str | None, attributes: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """`definition` of a row's own columns."""
    shown: dict[str, Any] = {}
    if channel:
        shown["ChannelType"] = channel
    if address:
        shown["Address"] = address
    shown["EndpointStatus"] = status
    shown["OptOut"] = opt_out
    for part in _SHOWN_PARTS:
        value = body.get(part)
        if value:
            shown[part] = value
    shown["EffectiveDate"] = iso(effective)
    shown["CreationDate"] = iso(created)
    user: dict[str, Any] = {}
    if user_id is not None:
        user["UserId"] = user_id
    attributes = attributes or body.get("UserAttributes")
    if attributes:
        user["UserAttributes"] = attributes
    shown["User"] = user
    return shown


def response(
    endpoint: Endpoint, user_attributes: dict[str, Any] | None, application_id: str
) -> dict[str, Any]:
    """The definition as GetEndpoint answers it."""
    return {
        "ApplicationId": application_id,
        "Id": endpoint.id,
        "CohortId": str(endpoint.cohort),
        **definition(endpoint, user_attributes),
    }


def as_text(value: Any) -> str:
    """One attribute value as text: what a JSON writer would print, without quotes around text."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _choice(
    endpoint: Endpoint, given: dict[str, Any], name: str, right: tuple[str, ...], default: Any
) -> Any:
    value = given.get(name)
    if value is None:
        return default
    if value not in right:
        raise Invalid(f"Endpoint {endpoint.id}: {name} is {value!r}; right are {', '.join(right)}")
    return value


def _instant(endpoint: Endpoint, text: Any, default: float) -> float:
    if not text:
        return default
    try:
        return parse_iso(text)
    except (TypeError, ValueError):
        raise Invalid(
            f"Endpoint {endpoint.id}: EffectiveDate {text!r} is not ISO 8601"
            " (2026-11-21T18:02:51.123Z is)"
        ) from None


def _merge_lists(
    endpoint: Endpoint, part: str, given: Any, into: dict[str, Any], limits: Limits
) -> None:
    """By name; the list of a given name is replaced, and an empty one takes the attribute away."""
    if not isinstance(given, dict):
        raise Invalid(f"Endpoint {endpoint.id}: {part} has to be a map of names to lists of text")
    merged = dict(into.get(part) or {})
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not values or value is None:
            merged.pop(name, None)
            continue
        if {*map(type, values)} != TEXTS:
            values = [as_text(v) for v in values]
        _check_attribute(endpoint, part, name, values, limits)
        merged[name] = values
    into[part] = merged


def _check_attribute(
    endpoint: Endpoint, part: str, name: str, values: list[str], limits: Limits
) -> None:
    longest = max(map(len, values))
    if not name or len(name) > MAX_NAME_CHARS:
        wrong = f"a name of {len(name)} characters; 1 to {MAX_NAME_CHARS}"
    elif limits.values and len(values) > limits.values:
        wrong = f"{len(values)} values; {limits.values} is the limit"
    elif limits.value_chars and longest > limits.value_chars:
        wrong = (
            f"a value of {longest} characters; {limits.value_chars} is the limit"
            " (setting engage_max_attribute_value_chars)"
        )
    else:
        return
    raise Invalid(f"Endpoint {endpoint.id}: {part} {name!r} has {wrong}")


def _merge_metrics(endpoint: Endpoint, given: Any) -> None:
    if not isinstance(given, dict):
        raise Invalid(f"Endpoint {endpoint.id}: Metrics has to be a map of names to numbers")
    merged = dict(endpoint.body.get("Metrics") or {})
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise Invalid(f"Endpoint {endpoint.id}: Metrics {name!r} is {value!r}, not a number")
        if not name or len(name) > MAX_NAME_CHARS:
            raise Invalid(f"Endpoint {endpoint.id}: Metrics name {name!r}: 1 to 50 characters")
        merged[name] = float(value)
    endpoint.body["Metrics"] = merged


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no double holds
        return False


def _merge_members(endpoint: Endpoint, part: str, given: Any) -> None:
    if not isinstance(given, dict):
        raise Invalid(f"Endpoint {endpoint.id}: {part} has to be an object")
    endpoint.body[part] = {**(endpoint.body.get(part) or {}), **given}


def _rounded(endpoint: Endpoint, location: Any) -> Any:
    """Pinpoint keeps coordinates to one decimal."""
    if not isinstance(location, dict):
        return location
    try:
        coordinates = {n: round(float(location[n]), 1) for n in COORDINATES if n in location}
        return {**location, **coordinates}
    except (TypeError, ValueError):
        raise Invalid(
            f"Endpoint {endpoint.id}: Location has a coordinate that is no number"
        ) from None


def _merge_user(
    endpoint: Endpoint,
    given: Any,
    user_attributes: dict[str, dict[str, Any]],
    limits: Limits,
) -> None:
    if not isinstance(given, dict) or given.keys() - {"UserId", "UserAttributes"}:
        raise Invalid(f"Endpoint {endpoint.id}: User has UserId and UserAttributes, nothing else")
    if given.get("UserId"):
        endpoint.user_id = str(given["UserId"])
        nameless = endpoint.body.pop("UserAttributes", None)
        if nameless:
            known = user_attributes.setdefault(endpoint.user_id, {})
            user_attributes[endpoint.user_id] = {**nameless, **known}
    if given.get("UserAttributes"):
        into: dict[str, Any] = endpoint.body
        if endpoint.user_id is not None:
            into = {"UserAttributes": user_attributes.get(endpoint.user_id)}
        _merge_lists(endpoint, "UserAttributes", given["UserAttributes"], into, limits)
        if endpoint.user_id is not None:
            user_attributes[endpoint.user_id] = into["UserAttributes"]
