"""Timestamps on the wire: epoch seconds inside, three text forms outside."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from tailorbird.clock import iso, parse_iso

EARLIEST = -62_135_596_800.0  # 0001-01-01
LATEST = 253_402_300_799.0  # 9999-12-31


def read(value: str | float) -> float:
    """Epoch seconds from a number, a numeric string, ISO 8601 or RFC 822; ValueError otherwise."""
    moment = _from_text(value) if isinstance(value, str) else float(value)
    if not math.isfinite(moment) or not EARLIEST <= moment <= LATEST:
        raise ValueError("is no instant between the years 1 and 9999 in seconds since 1970")
    return moment


def write(moment: float | str, form: str) -> float | str:
    """Epoch seconds in a form of the models: unixTimestamp, iso8601 or rfc822."""
    if isinstance(moment, str):
        moment = parse_iso(moment)
    if form == "iso8601":
        return iso(moment)
    if form == "rfc822":
        return format_datetime(datetime.fromtimestamp(int(moment), UTC), usegmt=True)
    return moment


def _from_text(text: str) -> float:
    text = text.strip()
    for parse in (float, parse_iso):
        try:
            return parse(text)
        except ValueError:
            continue
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        raise ValueError("is no timestamp") from None
