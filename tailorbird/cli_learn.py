"""Commands for recommendations: what became of live events, and why an item is recommended."""

from __future__ import annotations

import sys
from urllib.parse import urlencode

from cyclopts import App

from tailorbird.terminal import Data, Url, remote, show


def add_to(app: App, doctor: App) -> None:
    """Make these commands of the front door, and of `doctor`."""
    app.command(events)
    app.command(explain_item, name="explain-item")
    doctor.command(doctor_dataset, name="dataset")
    app.command(latency)
    app.command(compare_versions, name="compare-versions")


def events(of: str, *, newest: bool = False, data: Data = None, url: Url = None) -> None:
    """Say what became of live interaction events: received, linked to a user, unusable and why.

    Args:
        of: An event tracker or a dataset group: ARN, trackingId or name.
        newest: Show the newest events instead of counts.
    """
    answer = remote(data, url).call("GET", f"/_/events?{urlencode({'of': of})}")
    if newest:
        columns = ("received", "eventType", "itemId", "person", "state")
        show(answer["newest"], columns)
        return
    rows = [{"events": answer[name], "what": name} for name in ("received", "usable", "linked")]
    rows += [{"events": count, "what": f"  {kind}"} for kind, count in answer["eventTypes"].items()]
    for name in ("unusable", "warnings"):
        rows += [{"events": n, "what": f"{name}: {why}"} for why, n in answer[name].items()]
    show(rows, ("events", "what"))


def explain_item(
    campaign: str, user: str, item: str, *, data: Data = None, url: Url = None
) -> None:
    """Say why an item stands where it does for a user: which models, which history items.

    Args:
        campaign: ARN of the campaign or recommender.
        user: The user's id, or a session's.
        item: The item's id.
    """
    query = urlencode({"campaign": campaign, "user": user, "item": item})
    answer = remote(data, url).call("GET", f"/_/explain?{query}")
    if sys.stdout.isatty():
        sys.stdout.write(f"rank {answer['rank']} of {answer['items']}; {answer.get('note', '')}\n")
    rows = [{"adds": one["adds"], "what": f"model {one['model']}"} for one in answer["models"]]
    rows += [
        {"adds": one["adds"], "what": f"{one['eventType']} of {one['itemId']}"}
        for one in answer["history"]
    ]
    show(rows, ("adds", "what"))


def latency(of: str | None = None, *, data: Data = None, url: Url = None) -> None:
    """Print how long the answers of campaigns and recommenders took on this server.

    Args:
        of: ARN of one, for the count of every bucket; without it all that have answered.
    """
    if of is None:
        found = remote(data, url).call("GET", "/_/latency")["answered"]
        show(found, ("arn", "answers", "p50_ms", "p95_ms", "p99_ms", "longest_ms"))
        return
    one = remote(data, url).call("GET", f"/_/latency?{urlencode({'of': of})}")
    show(one["buckets"], ("up_to_ms", "count"))


def doctor_dataset(group: str, *, data: Data = None, url: Url = None) -> None:
    """Say what is wrong with a dataset group's data, in words and counts, before a training does.

    Args:
        group: ARN or name of the dataset group.
    """
    answer = remote(data, url).call("GET", f"/_/dataset?{urlencode({'group': group})}")
    show(answer["findings"], ("level", "count", "what"))
    if not answer["ready"]:
        sys.exit(1)


def compare_versions(versions: list[str], *, data: Data = None, url: Url = None) -> None:
    """Print the metrics of solution versions side by side, Personalize's and the honest ones.

    Args:
        versions: ARNs of solution versions.
    """
    query = urlencode([("version", one) for one in versions])
    answer = remote(data, url).call("GET", f"/_/versions?{query}")
    names = [name for name in answer["versions"][0] if name != "version"]
    rows = [
        {"metric": name}
        | {f"version {n + 1}": one.get(name) for n, one in enumerate(answer["versions"])}
        for name in names
    ]
    show(rows, ("metric", *(f"version {n + 1}" for n in range(len(answer["versions"])))))
    if not answer["same_split"]:
        sys.stderr.write("The versions were measured on different users: they differ in data.\n")
