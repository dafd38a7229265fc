"""Commands for campaigns: what one would do, its failed hook batches again, a segment explained."""

from __future__ import annotations

import sys
from urllib.parse import urlencode

from cyclopts import App

from tailorbird.terminal import Data, Url, as_text, remote, show


def add_to(app: App) -> None:
    """Make these commands of the front door."""
    app.command(dry_run, name="dry-run")
    app.command(replay_hooks, name="replay-hooks")
    app.command(runs)
    app.command(explain_segment, name="explain-segment")


def dry_run(
    application: str, campaign: str, *, limit: int = 50, data: Data = None, url: Url = None
) -> None:
    """Say what a campaign would do, sending nothing: whom its hook leaves out or changes, and how,
    and what each message says. The hook is really called.

    Args:
        application: Id of the application.
        campaign: Id of the campaign.
        limit: Look at the first so many endpoints of its segment.
    """
    body = {"application": application, "campaign": campaign, "limit": limit}
    answer = remote(data, url).call("POST", "/_/campaigns/dry-run", body)
    if not sys.stdout.isatty():
        show(answer["endpoints"], ())
        return
    for one in answer["endpoints"]:
        sys.stdout.write(f"{one['endpoint']}  {one['outcome']}  {one.get('reason', '')}\n")
        for change in one.get("changes", []):
            if "before" in change:
                sys.stdout.write(f"    - {change['path']}: {as_text(change['before'])}\n")
            if "after" in change:
                sys.stdout.write(f"    + {change['path']}: {as_text(change['after'])}\n")
        for part, text in (one.get("preview") or {}).items():
            sys.stdout.write(f"    {part}: {text}\n")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in answer["counts"].items())
    sys.stdout.write(f"{counts or 'nobody'}; nothing was sent\n")
    if away := answer["hook_away"]:
        sys.stdout.write(
            f"its run waits: the hook is away since {away['since']} ({away['reason']})\n"
        )


def replay_hooks(campaign: str, *, data: Data = None, url: Url = None) -> None:
    """Send to those whose hook batch failed, now that the function is mended.

    Args:
        campaign: Id of the campaign.
    """
    answer = remote(data, url).call("POST", "/_/campaigns/replay", {"campaign": campaign})
    show(answer["replays"], ("activity", "endpoints", "job"))


def runs(campaign: str, *, attempts: int = 0, data: Data = None, url: Url = None) -> None:
    """Say how far the runs of a campaign are and whether their hook is away, or what its hook did.

    Args:
        campaign: Id of the campaign.
        attempts: Print this many attempts at the hook instead, the latest first.
    """
    server, wanted = remote(data, url), urlencode({"campaign": campaign})
    if attempts:
        found = server.call("GET", f"/_/campaigns/attempts?{wanted}&limit={attempts}")["attempts"]
        show(found, ("started", "batch", "attempt", "outcome", "duration_ms", "detail"))
        return
    shown = server.call("GET", f"/_/campaigns/runs?{wanted}")["runs"]
    columns = ("scheduled", "treatment", "state", "members", "settled", "sent", "hook_away")
    show(shown, columns)


def explain_segment(
    application: str,
    segment: str,
    *,
    endpoint: str = "",
    version: int = 0,
    data: Data = None,
    url: Url = None,
) -> None:
    """Say how many endpoints pass each step of a segment, or why one endpoint is not in it.

    Args:
        application: Id of the application.
        segment: Id of the segment.
        endpoint: Id of an endpoint to look at.
        version: Version of the segment; without it the latest.
    """
    query = {"application": application, "segment": segment}
    query |= {"endpoint": endpoint} if endpoint else {}
    query |= {"version": str(version)} if version else {}
    answer = remote(data, url).call("GET", f"/_/segments/explain?{urlencode(query)}")
    steps = [{**step, "step": "  " * step["depth"] + step["step"]} for step in answer["steps"]]
    columns = ("wanted", "has") if endpoint else ("left",)
    show(steps, ("step", "kind", "passes", *columns))
    rest = {name: value for name, value in answer.items() if name != "steps"}
    show([rest], tuple(rest))
