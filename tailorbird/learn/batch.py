"""Batch jobs: files of JSON lines in, files of the same names with `.out` out.

A job works through its input in pieces; a piece that is stored is not computed again when the job
is taken over. A line that cannot be answered says so in its `error` and costs nothing else.
Source: Personalize developer guide, "Batch recommendations and user segments".
"""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import artifacts, batch_lines, locations, pace, quotas, records
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_solution_versions
from tailorbird.store import Job, location, metadata

QUEUE = "learn"
ATTEMPTS = 3
PIECE_LINES = 1_000
HERE = "this process"
Answer = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]  # inputs -> outputs, in order


@dataclass(frozen=True)
class Plan:
    """How a job goes about its lines."""

    answer: Answer
    lines: int = PIECE_LINES  # of a piece
    where: str = HERE


Plans = Callable[[records.Row, records.Row, int], AbstractContextManager[Plan]]


def create(
    room: Learn,
    caller: Caller,
    request: dict[str, Any],
    table: sa.Table,
    kind: str,
    what: str,
    check: Callable[[Connection, records.Row], None],
) -> str:
    """Start a batch job on an ACTIVE version that `check` accepts; its ARN."""
    source, _ = paths(request)
    locations.check(room, source)
    arn = records.arn_of(caller, f"{what.replace(' ', '-')}/{request['jobName']}")
    with room.db.write() as conn:
        version_arn = request["solutionVersionArn"]
        version = records.active(
            conn, learn_solution_versions, caller, version_arn, "solution version"
        )
        check(conn, version)
        _check_filter(conn, caller, request, version["group_arn"])
        quotas.check_busy(room, conn, caller, table)
        records.add(
            room,
            conn,
            table,
            caller,
            what,
            arn=arn,
            name=request["jobName"],
            status=records.PENDING,
            definition=request,
            version_arn=version_arn,
        )
        due = pace.due(room, what)
        room.jobs.enqueue(conn, kind, {"arn": arn}, queue=QUEUE, max_attempts=ATTEMPTS, due=due)
    return arn


def paths(request: dict[str, Any]) -> tuple[str, str]:
    """Where the job reads and writes; Invalid when either is wrong or both are the same."""
    source = _path(request.get("jobInput"), "s3DataSource", "input")
    target = _path(request.get("jobOutput"), "s3DataDestination", "output")
    if source.rstrip("/") == target.rstrip("/"):
        raise Invalid(f"Invalid S3 output path: {target} is the input path as well")
    return source, target


def _path(given: dict[str, Any] | None, member: str, what: str) -> str:
    path = ((given or {}).get(member) or {}).get("path") or ""
    if not path.startswith("s3://"):
        raise Invalid(f"Invalid S3 {what} path: {path!r}; s3://bucket/key is right")
    location(path)
    return path


def run(
    room: Learn,
    job: Job,
    table: sa.Table,
    planned: Plans,
) -> None:
    """The job: answer every line of every file, then say ACTIVE.

    `planned` is given the job, its version, and how many lines there are.
    """
    arn = job.payload["arn"]
    with room.db.write() as conn:
        row = conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
        if row is None:
            raise Invalid(f"{arn} was deleted")
        versions = learn_solution_versions
        query = sa.select(versions).where(versions.c.arn == row["version_arn"])
        version = conn.execute(query).mappings().first()
        if version is None:
            raise Invalid(f"The solution version {row['version_arn']} was deleted")
        records.change(room, conn, table, arn, status=records.IN_PROGRESS)
    source, target = paths(row["definition"])
    base = f"s3://{room.settings.learn_bucket}/batch/{job.id}/"
    counts: dict[str, Any] = {"files": 0, "lines": 0, "errors": 0}
    with (
        locations.sources(room, source) as files,
        planned(row, version, sum(_count(path) for _, path in files)) as plan,
    ):
        counts["where"] = plan.where
        for number, (name, path) in enumerate(files):
            out = f"{target.rstrip('/')}/{_below(name, source)}.out"
            pieces: list[str] = []
            for n, lines in enumerate(_pieces(path, plan.lines)):
                piece = f"{base}{number}-{plan.lines}-{n}"
                if not room.objects.exists(piece):
                    room.objects.put(piece, _answered(lines, plan.answer))
                pieces.append(piece)
                counts["lines"] += len(lines)
                job.progress(counts["lines"], None, "lines")
            counts["errors"] += _join(room, pieces, out)
            counts["files"] += 1
    with room.db.write() as conn:
        records.change(room, conn, table, arn, status=records.ACTIVE, failure=None, report=counts)
        job.finish(conn, counts)
    artifacts.drop(room.objects, base.rstrip("/"))


def failed(room: Learn, table: sa.Table, conn: Connection, job: Job, reason: str) -> None:
    records.change(room, conn, table, job.payload["arn"], status=records.FAILED, failure=reason)


def _below(name: str, source: str) -> str:
    """What an input is called below its folder, so that no two outputs have one name."""
    folder = source.rstrip("/") + "/"
    return name.removeprefix(folder) if name.startswith(folder) else name.rpartition("/")[2]


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _pieces(path: Path, size: int) -> Iterator[list[bytes]]:
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        lines = (line for line in file if line.strip())
        while piece := list(islice(lines, size)):
            yield piece


def _answered(lines: list[bytes], answer: Answer) -> bytes:
    """The lines with their outputs; a line that is no JSON object has an error."""
    given: list[dict[str, Any]] = []
    shown: list[dict[str, Any] | None] = []
    for line in lines:
        try:
            one = orjson.loads(line)
            if not isinstance(one, dict):
                raise ValueError("a JSON object is right")
        except ValueError as error:
            text = line.decode(errors="replace").strip()
            shown.append(
                {"input": text, "output": None, "error": f"This is not a JSON line: {error}"}
            )
        else:
            given.append(one)
            shown.append(None)
    outputs = iter(answer(given)) if given else iter(())
    done = [next(outputs) if one is None else one for one in shown]
    return b"".join(orjson.dumps(one) + b"\n" for one in done)


def _join(room: Learn, pieces: list[str], out: str) -> int:
    """One output of all pieces, whole or not at all; how many lines have an error."""
    errors = 0
    with tempfile.TemporaryDirectory(prefix="tailorbird-batch-") as folder:
        whole = Path(folder) / "out"
        with whole.open("wb") as file:
            for piece in pieces:
                data = room.objects.get(piece)
                errors += data.count(b"\n") - data.count(b'"error":null}\n')
                file.write(data)
        room.objects.put(out, whole)
    return errors


def each(answer_one: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """An Answer that takes lines one by one; a refusal becomes the line's error."""
    return lambda given: [batch_lines.line(answer_one, one) for one in given]


def _check_filter(conn: Connection, caller: Caller, request: dict[str, Any], group: str) -> None:
    arn, table = request.get("filterArn"), metadata.tables.get("learn_filters")
    if not arn:
        return
    if table is None:
        raise NotFound(f"The given filter does not exist: {arn}")
    found = records.find(conn, table, caller, arn, "filter")
    if found["group_arn"] != group:
        raise Invalid(f"The filter {arn} belongs to another dataset group than the version")
