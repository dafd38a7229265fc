"""What a person sees: a line for each step as it runs, then the figures and where to look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from tailorbird.demo.figures import FILTERED, HOOK_FAILED, PRODUCED, SENT, Figures, Live, Mailing
from tailorbird.demo.server import Server
from tailorbird.remote import Remote

WORDS = {
    FILTERED: "left out by the hook",
    "DUPLICATE_ENDPOINT": "same address as another",
    "ENDPOINT_OPT_OUT": "opted out",
    "ENDPOINT_INACTIVE": "inactive",
    HOOK_FAILED: "the hook failed",
    "RENDER_FAILED": "could not be rendered",
    "CHANNEL_FAILED": "refused by the mail server",
}


class ElapsedSeconds(ProgressColumn):
    """Seconds of a step to a tenth: most take few."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished else task.elapsed
        return Text(f"{seconds or 0.0:.1f} s", style="green")


@contextlib.contextmanager
def steps(console: Console) -> Iterator[Callable[[str], Any]]:
    """A line for each step: what, how far, how long."""
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[far]}", style="dim"),
        ElapsedSeconds(),
    )
    with Progress(*columns, console=console) as progress:

        @contextlib.contextmanager
        def step(what: str) -> Iterator[Callable[[int, int], None]]:
            task = progress.add_task(what, total=None, far="")

            def told(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total, far=f"{done:,} of {total:,}")

            try:
                yield told
            except BaseException:
                progress.update(task, description=f"[red]✗ {what}[/]")
                raise
            progress.update(task, total=1, completed=1)

        yield step


def print_report(console: Console, figures: Figures) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold green", no_wrap=True)
    table.add_column()
    for name, text in lines(figures):
        table.add_row(name, text)
    console.print()
    console.print(table)


def print_addresses(console: Console, server: Remote, figures: Figures) -> None:
    console.print()
    for name, text in addresses(server, figures):
        console.print(f"[bold]{name}[/]", highlight=False)
        console.print(f"  {text}", soft_wrap=True, highlight=False, markup=False)


def lines(f: Figures) -> list[tuple[str, str]]:
    """The figures in words, one line a room."""
    return [
        ("collect", collected(f)),
        ("prepare", prepared(f)),
        ("learn", learned(f)),
        *([("live", live(f.live))] if f.live else []),
        *(("engage", mailed(mailing)) for mailing in f.mailings),
        ("all", f"{f.seconds:.0f} s, of which the server took {f.start_seconds:.1f} s to start"),
    ]


def collected(f: Figures) -> str:
    people = (
        f"{f.identified.calls:,} people on Pinpoint endpoints {f.endpoints_seconds:.1f} s later"
    )
    return (
        f"{f.sent.calls:,} calls through the Segment SDK in {f.sent.seconds:.1f} s: "
        f"{f.sent.per_second:,.0f} calls/s, each durable before its answer; {people}"
    )


def prepared(f: Figures) -> str:
    text = (
        f"{f.prepared.get('rows', 0):,} interactions from the archive in {f.prepare_seconds:.1f} s"
    )
    if f.whole_file_rows:
        text += f"; the calls are a sample, so all {f.whole_file_rows:,} of the file are imported"
    return text


def learned(f: Figures) -> str:
    if f.learned is None:
        return "nothing"
    ratio = f.learned.metric / f.learned.baseline if f.learned.baseline else 0.0
    times = f" ({ratio:.1f} times)" if ratio else ""
    return (
        f"imported in {f.learned.import_seconds:.1f} s, "
        f"trained in {f.learned.training_seconds:.1f} s; "
        f"NDCG@10 {f.learned.metric:.3f} against {f.learned.baseline:.3f} of popularity{times}; "
        f"{f.recommended:,} people asked for, median {f.recommend_ms:.1f} ms"
    )


def live(figures: Live) -> str:
    return (
        f"{figures.calls} calls of {figures.people} people -> function -> event, recommendations, "
        f"identify -> endpoint: {figures.arrived} arrived, median {figures.median_seconds:.1f} s, "
        f"{figures.changed} with another list; {figures.example} had "
        f"{', '.join(figures.before)} and has {', '.join(figures.after)}"
    )


def mailed(m: Mailing) -> str:
    rest = {
        WORDS.get(name, name): n for name, n in m.outcomes.items() if name not in (SENT, PRODUCED)
    }
    why = ", ".join(f"{n:,} {words}" for words, n in rest.items())
    rate = f"{m.endpoints / m.seconds:,.0f} endpoints/s" if m.seconds else ""
    return (
        f"hook {m.hook} ({m.runtime}): {m.endpoints:,} endpoints -> {m.kept:,} kept by the hook "
        f"-> {m.sent:,} sent in {m.seconds:.1f} s, {rate}" + (f"; {why}" if why else "")
    )


def addresses(server: Remote, figures: Figures) -> list[tuple[str, str]]:
    """Where to look, and one command to paste."""
    found = [
        ("Console", f"{server.url}/?token={server.token}"),
        (f"Inbox, {figures.mails:,} mails", str(server.data / "inbox" / figures.application_id)),
    ]
    if figures.mailings:
        campaign = figures.mailings[0].activity["CampaignId"]
        found.append(
            (
                "AWS CLI, to paste",
                f"AWS_SHARED_CREDENTIALS_FILE={server.credentials} aws --endpoint-url {server.url} "
                f"--region {server.region} pinpoint get-campaign-activities "
                f"--application-id {figures.application_id} --campaign-id {campaign}",
            )
        )
    return found


def serve_on(console: Console, server: Server) -> None:
    """Until Ctrl-C, or until the server ends."""
    console.print("\nServing on; Ctrl-C ends it.")
    with contextlib.suppress(KeyboardInterrupt):
        server.process.wait()
