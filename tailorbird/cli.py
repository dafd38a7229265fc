"""The front door for people: thin commands over a room or the HTTP APIs.

Commands that talk to a running server find its secrets in the data folder, as any client would.
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

from cyclopts import App, Parameter

from tailorbird import (
    __version__,
    cli_campaigns,
    cli_functions,
    cli_learn,
    cli_measuring,
    cli_prepare,
    cli_segment,
    cli_warehouses,
)
from tailorbird.cli_policy import policy
from tailorbird.cli_roles import explain, role
from tailorbird.errors import Invalid, TailorbirdError
from tailorbird.terminal import (
    Data,
    Url,
    asking,
    console,
    parse_json,
    remote,
    settings_with,
    show,
)

INTERRUPTED = 130
REFUSED = 2

app = App(
    name="tailorbird",
    help="Collect, prepare, learn, engage: one server behind the APIs of Segment, "
    "Amazon Personalize, Amazon Pinpoint and AWS Lambda.",
    version=__version__,
    help_format="plaintext",
)
doctor = App(name="doctor", help="Say what this machine has and lacks; what is wrong with data.")
source = App(name="source", help="Sources: where Segment calls come from, each with its write key.")
destination = App(name="destination", help="Destinations: where a source's calls are delivered.")
app.default_parameter = Parameter(negative=())
app.command(doctor)
app.command(source)
app.command(destination)
app.command(role)
app.command(explain)
app.command(policy)
cli_functions.add_to(app)
cli_campaigns.add_to(app)
cli_measuring.add_to(app)
cli_segment.add_to(source, destination)
cli_warehouses.add_to(app)
cli_learn.add_to(app, doctor)
cli_prepare.add_to(app)


# -- serving ------------------------------------------------------------------------------------


@app.command
def up(
    *,
    host: str | None = None,
    port: int | None = None,
    data: Path | None = None,
    ephemeral: bool = False,
    processes: int | None = None,
) -> None:
    """Serve every API and the console on one port until Ctrl-C.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        data: Folder of database, objects, models, inbox and secrets.
        ephemeral: Temporary data and POST /_/reset, for test suites.
        processes: Processes that serve the port together; one a core answers the most.
    """
    from tailorbird.serve import serve

    given = {"host": host, "port": port, "data": data, "processes": processes}
    serve(settings_with(**given, ephemeral=ephemeral or None))


@app.command
def demo(
    *,
    exit: bool = False,
    interactions: Path | None = None,
    data: Path | None = None,
    port: int = 0,
    people: int = 1_500,
    products: int = 400,
    calls: int = 50_000,
    seed: int = 7,
) -> None:
    """Play the whole loop on a started server and print what happened, with measured figures.

    Args:
        exit: End after the report instead of serving on.
        interactions: Play a real file instead: CSV or Parquet with USER_ID, ITEM_ID, TIMESTAMP
            and, if it has one, EVENT_TYPE.
        data: Data folder; without it a fresh temporary one.
        port: Port of the server; 0 takes a free one.
        people: People of the generated shop, or users of the file that get a mail.
        products: Products of the generated shop.
        calls: Segment calls in the generated shop's history, about.
        seed: Seed of the generated shop; the same seed plays the same shop.
    """
    from tailorbird.demo.play import Choices, play

    play(Choices(exit, interactions, data, port, people, products, calls, seed))


@app.command
def worker(*, data: Path | None = None, threads: int | None = None) -> None:
    """Do background work only, until Ctrl-C: one more process on a server's database.

    Args:
        data: Data folder; settings `database_url` and `s3_endpoint_url` span machines.
        threads: Jobs to run at once.
    """
    from tailorbird.serve import work

    work(settings_with(data=data, worker_threads=threads))


# -- looking ------------------------------------------------------------------------------------


@app.command
def settings() -> None:
    """Print every setting with its value and where that came from."""
    from rich.table import Table

    from tailorbird.settings import ENVIRONMENT_PREFIX, FILE_NAME, SETTINGS

    loaded = settings_with()
    table = Table("setting", "value", "origin", "what it is", box=None)
    for setting in SETTINGS:
        value = str(getattr(loaded, setting.name))
        shown = "(set)" if value and is_secret(setting.name) else value
        table.add_row(setting.name, shown, loaded.origin(setting.name), setting.help)
    console().print(table)
    console().print(
        f"Set one with {ENVIRONMENT_PREFIX}NAME in the environment or NAME in {FILE_NAME}."
    )


@doctor.default
def doctor_machine() -> None:
    """Say what this machine has, what is degraded without it, and how to get it."""
    from rich.table import Table

    from tailorbird.doctor import findings

    table = Table("", "what", "found", "what it is for", box=None)
    found = findings(settings_with())
    for finding in found:
        mark = "[green]ok[/]" if finding.good else "[yellow]missing[/]"
        table.add_row(
            mark, finding.what, finding.found, finding.use if finding.good else finding.remedy
        )
    console().print(table)
    if any(finding.needed and not finding.good for finding in found):
        sys.exit(REFUSED)


# -- working with a running server ----------------------------------------------------------------


@source.command(name="list")
def source_list(*, data: Data = None, url: Url = None) -> None:
    """List the sources with their write keys."""
    found = remote(data, url).call("GET", "/segmentapis/sources")["data"]["sources"]
    show(found, ("id", "name", "slug", "writeKeys", "enabled"))


@source.command(name="create")
def source_create(
    name: str,
    *,
    slug: str = "",
    write_key: str = "",
    data: Data = None,
    url: Url = None,
) -> None:
    """Create a source and print its write key.

    Args:
        name: A name of your choice.
        slug: Its short name, also the schema of its tables in a warehouse; made from the name.
        write_key: The key its senders have already, when they come from Segment.
    """
    from tailorbird.demo import shop

    body = {"name": name, "slug": slug or shop.slug(name), "enabled": True, "writeKey": write_key}
    made = remote(data, url).call("POST", "/segmentapis/sources", body)["data"]["source"]
    show([made], ("id", "name", "slug", "writeKeys"))


@destination.command(name="list")
def destination_list(*, data: Data = None, url: Url = None) -> None:
    """List the destinations of every source."""
    found = remote(data, url).call("GET", "/segmentapis/destinations")["data"]["destinations"]
    show(found, ("id", "sourceId", "name", "enabled", "settings"))


@destination.command(name="create")
def destination_create(
    source_id: str,
    kind: str,
    settings: str,
    *,
    name: str = "",
    data: Data = None,
    url: Url = None,
) -> None:
    """Deliver a source's calls to a destination.

    Args:
        source_id: Id of the source, as `tailorbird source list` prints it.
        kind: The destination's name or id in the catalogue, for example "Amazon Personalize".
        settings: Its settings as JSON, for example '{"function": "f", "roleAddress": "arn:..."}'.
        name: A name of your choice.
    """
    body = {
        "sourceId": source_id,
        "metadataId": kind,
        "name": name or kind,
        "enabled": True,
        "settings": parse_json(settings, "settings"),
    }
    made = remote(data, url).call("POST", "/segmentapis/destinations", body)["data"]["destination"]
    show([made], ("id", "sourceId", "name", "settings"))


@app.command
def archive(source_id: str = "", *, data: Data = None, url: Url = None) -> None:
    """Write the calls of a source, or of all, into the archive now instead of at the next hour.

    Args:
        source_id: Id of the source; without it all of them.
    """
    body = {"source": source_id} if source_id else {}
    files = remote(data, url).call("POST", "/_/archive", body)["files"]
    show([{"file": file} for file in files], ("file",))


@app.command
def ledger(
    campaign: str, *, state: str = "", rows: int = 0, data: Data = None, url: Url = None
) -> None:
    """Say what became of a campaign's endpoints, and why: each reason with its count, or rows.

    Args:
        campaign: Id of the campaign.
        state: Rows of this state only, for example hook_failed.
        rows: Print this many rows instead of the reasons.
    """
    server = remote(data, url)
    wanted = f"campaign={quote(campaign)}"
    if rows or state:
        query = f"{wanted}&limit={rows or 100}" + (f"&state={quote(state)}" if state else "")
        entries = server.call("GET", f"/_/ledger?{query}")["entries"]
        show(entries, ("endpoint_id", "state", "reason", "moment"))
    else:
        reasons = server.call("GET", f"/_/ledger/reasons?{wanted}")["reasons"]
        show(reasons, ("state", "count", "reason"))


@app.command(name="import")
def import_interactions(
    file: Path, dataset_arn: str, *, data: Data = None, url: Url = None
) -> None:
    """Import a CSV of interactions, items or users into a Personalize dataset and wait for the end.

    Args:
        file: The CSV; its header names the fields of the dataset's schema.
        dataset_arn: ARN of the dataset, as `aws personalize list-datasets` prints it.
    """
    from tailorbird.demo.learning import import_file

    if not file.is_file():
        raise Invalid(f"There is no file {file}")
    server = remote(data, url)
    with asking(server):
        show([import_file(server, file, dataset_arn)], ())


# -- what they share ------------------------------------------------------------------------------


def is_secret(name: str) -> bool:
    return name.endswith(("_secret_access_key", "smtp_url"))


def main() -> None:
    """Run a command; a refusal is one clear line, never a traceback."""
    try:
        app()
    except TailorbirdError as error:
        sys.stderr.write(f"tailorbird: {error.message}\n")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
