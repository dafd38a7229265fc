"""Commands that turn Segment's logs and warehouses into datasets to train with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tailorbird.errors import Invalid
from tailorbird.terminal import Data, Url, remote, settings_with, show

if TYPE_CHECKING:
    from tailorbird.prepare import Mapping, Options, Progress

EXAMPLE = """\
# Which calls become rows, and from which fields: see docs/prepare.md.

[interactions]
events = ["Product Viewed", "Product Clicked", "Product Added", "Order Completed"]
user = ["userId"]                       # ["userId", "anonymousId"] takes unknown people too
item = [
    "properties.products[].sku",        # a row for each product of an order
    "properties.products[].product_id",
    "properties.sku",
    "properties.product_id",
]
time = "timestamp"
duplicates = "keep"                     # "drop" writes equal rows once

[users.columns]                         # the newest of each trait
AGE = { path = "traits.age", type = "int" }
PLAN = "traits.plan"

[items]
events = ["Product Viewed", "Product Added", "Order Completed"]

[items.columns]
PRICE = { path = ["properties.products[].price", "properties.price"], type = "float" }
CATEGORY = ["properties.products[].category", "properties.category"]

[warehouse]
schema = "prod"
"""

mapping = App(name="mapping", help="Mapping files: which calls become rows, from which fields.")
MappingFile = Annotated[
    Path | None, Parameter(help="The mapping file (.toml, .json); without it the usual mapping.")
]


def add_to(app: App) -> None:
    """Make these commands of the front door."""
    app.command(prepare)
    app.command(unload)
    app.command(mapping)


def prepare(
    source: str,
    output: str,
    *,
    mapping: MappingFile = None,
    dataset: str = "interactions",
    event: tuple[str, ...] = (),
    engine: str = "",
    master: str | None = None,
    strict: bool = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """Turn an archive into a dataset to import; of a source by the server, of files here.

    Args:
        source: Id of a source, as `tailorbird source list` prints it: the server does it, when
            the output is in the object store. Or files, which are read here, without a server: a
            folder, or s3://bucket/prefix/ in the object store of --data.
        output: Where the CSV goes, for example s3://shop/interactions.csv; ending in / a folder.
        dataset: interactions, users or items.
        event: An event name to keep instead of the mapping's; give it several times.
        engine: python, duckdb or spark; works here then, also for a source.
        master: Master of Spark, for example local[4] or spark://host:7077.
        strict: A damaged file ends the work, instead of giving the lines before the damage.
    """
    from tailorbird import prepare as kitchen

    chosen = _mapping(mapping, event)
    wanted = kitchen.dataset_of(chosen, dataset)
    here = "/" in source or Path(source).exists()
    if output.startswith("s3://") and not (here or engine or master or strict):
        report = _by_the_server(source, output, chosen, dataset, data, url)
    else:
        room = _room(data)
        if not here:
            remote(data, url).call("POST", "/_/archive", {"source": source})
            source = f"s3://{room.settings.archive_bucket}/segment-logs/{source}/"
        options = kitchen.Options(engine or "python", strict, master)
        report = _here(room, source, output, chosen, wanted.name, options)
    show([report], ())
    for one in report["damaged"]:
        sys.stderr.write(f"{one['file']}: {one['what']}; what was before it is in the output\n")


def unload(
    kind: str,
    output: str,
    *,
    database: str = "",
    mapping: MappingFile = None,
    dataset: str = "interactions",
    access_key: str = "AWS_ACCESS_KEY_ID",
    secret_key: str = "AWS_SECRET_ACCESS_KEY",
    token: str = "AWS_SESSION_TOKEN",
    role: str = "",
    region: str = "<your-region>",
) -> None:
    """Make the statement that writes a warehouse's dataset to a CSV; with --database, run it.

    Args:
        kind: redshift (UNLOAD), snowflake (COPY INTO), postgres or duckdb (a file here).
        output: s3://bucket/key for redshift and snowflake, a .csv here for the others.
        database: redshift://user:password@host:5439/db, snowflake://user:password@account/db,
            postgresql://... or a DuckDB file. Without it the statement is only printed.
        dataset: interactions, users or items.
        access_key: Access key that the warehouse writes to S3 with.
        secret_key: Its secret.
        token: Its session token; empty for none.
        role: Role of Redshift, or storage integration of Snowflake, instead of keys.
        region: Region of the bucket.
    """
    from tailorbird import prepare as kitchen
    from tailorbird.prepare.warehouses import SQL, UNLOADS
    from tailorbird.prepare.warehouses.unloading import Keys

    if kind not in UNLOADS:
        raise Invalid(f"There is no warehouse {kind!r}; one of {', '.join(UNLOADS)}")
    chosen = _mapping(mapping, ())
    wanted = kitchen.dataset_of(chosen, dataset)
    keys = Keys(access_key, secret_key, token, role, region)
    if not database:
        sys.stdout.write(SQL[kind](wanted, chosen.warehouse, output, keys) + "\n")
        return
    report = UNLOADS[kind](wanted, chosen.warehouse, database, output, keys)
    show([{name: value for name, value in report.items() if name != "sql"}], ())


@mapping.command(name="example")
def example() -> None:
    """Print a mapping file to begin with."""
    sys.stdout.write(EXAMPLE)


@mapping.command(name="check")
def check(file: Path) -> None:
    """Say what a mapping file means, or which field on which line is wrong.

    Args:
        file: The mapping file (.toml, .json).
    """
    from tailorbird import prepare as kitchen

    chosen = kitchen.load(file)
    found = [chosen.dataset(name) for name in kitchen.DATASETS]
    show(
        [
            {
                "dataset": one.name,
                "columns": list(one.header),
                "of": list(one.events or one.types),
                "fields": [str(path) for path in one.paths],
            }
            for one in found
            if one is not None
        ],
        ("dataset", "columns", "of", "fields"),
    )


@mapping.command(name="schema")
def schema(file: Path | None = None, *, dataset: str = "interactions") -> None:
    """Print the Avro schema that a mapping's output is imported with.

    Args:
        file: The mapping file; without it the usual mapping.
        dataset: interactions, users or items.
    """
    from tailorbird import prepare as kitchen
    from tailorbird.prepare import schemas

    sys.stdout.write(schemas.text(kitchen.dataset_of(_mapping(file, ()), dataset)))


def _mapping(file: Path | None, events: tuple[str, ...]) -> Mapping:
    from tailorbird import prepare as kitchen

    chosen = kitchen.load(file) if file else kitchen.from_dict({})
    if not events:
        return chosen
    given = kitchen.to_dict(chosen)
    return kitchen.from_dict(
        {**given, "interactions": {**given["interactions"], "events": list(events)}}
    )


def _by_the_server(
    source: str, output: str, mapping: Mapping, dataset: str, data: Path | None, url: str | None
) -> dict[str, Any]:
    from tailorbird import prepare as kitchen
    from tailorbird.demo.preparing import prepare_dataset

    given = kitchen.to_dict(mapping)
    server = remote(data, url)
    with _Bar() as told:
        return prepare_dataset(server, source, output, given, dataset, told)


def _here(
    room: Any, source: str, output: str, mapping: Mapping, dataset: str, options: Options
) -> dict[str, Any]:
    from tailorbird import prepare as kitchen

    def tell(progress: Progress) -> None:
        told(progress.bytes, progress.bytes_total, f"{progress.rows:,} rows")

    with _Bar() as told:
        return kitchen.run(
            room, source, output, mapping, dataset=dataset, options=options, told=tell
        )


def _room(data: Path | None) -> Any:
    """The kitchen without a server: files, and the object store of the settings."""
    from tailorbird.clock import SystemClock
    from tailorbird.prepare import Prepare
    from tailorbird.store import Database, Jobs, Objects

    settings = settings_with(data=data)
    db, clock = Database("sqlite://"), SystemClock()
    objects = Objects(settings.data / "objects", settings)
    return Prepare(db, Jobs(db, clock), objects, clock, settings)


class _Bar:
    """A bar with the pace and the time left, on a terminal; nothing in a pipe."""

    def __enter__(self) -> Any:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self.bar = Progress(
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self.bar.start()
        self.task = self.bar.add_task("", total=None)
        return self.tell

    def tell(self, done: int, total: int | None, what: str) -> None:
        self.bar.update(self.task, completed=done, total=total, description=what)

    def __exit__(self, *raised: Any) -> None:
        self.bar.stop()
