"""Commands that look at what came of things: refused rows, event streams, lift."""

from __future__ import annotations

import sys
from urllib.parse import urlencode

from cyclopts import App

from tailorbird.errors import Invalid
from tailorbird.terminal import Data, Url, remote, show

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_to(app: App) -> None:
    """Make these commands of the front door."""
    app.command(import_failures, name="import-failures")
    app.command(streams)
    app.command(lift)


def import_failures(job: str, *, data: Data = None, url: Url = None) -> None:
    """Show every row that an import job of Pinpoint refused, and why.

    Args:
        job: Id of the import job.
    """
    after, found = "-1.0", []
    while True:
        answer = remote(data, url).call("GET", f"/_/imports/{job}/failures?after={after}")
        if not answer["failures"]:
            break
        found += answer["failures"]
        after = f"{found[-1]['piece']}.{found[-1]['row']}"
    show(found, ("file", "row", "reason", "text"))


def streams(
    application: str, *, to: str = "", remove: str = "", data: Data = None, url: Url = None
) -> None:
    """Show where an application's events are streamed to and how far each stream is; add or remove
    one.

    Args:
        application: Id of the application.
        to: Add a stream to s3://bucket/prefix/, an https URL (signed) or source:ID.
        remove: Remove the stream with this id.
    """
    house = remote(data, url)
    if to:
        house.call("POST", "/_/streams", {"application": application, "to": to})
    if remove:
        house.call("POST", "/_/streams/remove", {"stream": remove})
    answer = house.call("GET", f"/_/streams?{urlencode({'application': application})}")
    columns = ("id", "kind", "target", "delivered", "waiting", "dropped", "error")
    show(answer["streams"], columns)


def lift(
    campaign: str, *, event: str, window: str = "7d", data: Data = None, url: Url = None
) -> None:
    """Say whether those a campaign meant to reach did more of an event than its holdout.

    Args:
        campaign: Id of the campaign.
        event: Name of the app event, such as purchase.
        window: How long after a run's start it counts: 90m, 24h, 7d.
    """
    query = {"campaign": campaign, "event": event, "window": str(_seconds(window))}
    answer = remote(data, url).call("GET", f"/_/lift?{urlencode(query)}")
    rows = [{"group": "holdout", **answer["holdout"]}]
    rows += [{"group": f"treatment {one['treatment']}", **one} for one in answer["treatments"]]
    show(
        rows,
        ("group", "endpoints", "sent", "converted", "rate", "difference", "low", "high", "verdict"),
    )
    if sys.stdout.isatty() and not answer["window_is_over"]:
        sys.stdout.write("The window of its last run is not over yet\n")


def _seconds(text: str) -> float:
    unit = UNITS.get(text[-1:], 0)
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        raise Invalid(f"window is {text!r}; 90m, 24h or 7d is right") from None
