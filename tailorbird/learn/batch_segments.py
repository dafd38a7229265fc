"""Batch segment jobs: the users who are likely to want an item, or items with attributes.

Every user's history is scored once for all lines of a piece. The guide's examples call the list
`recommendedUsers`; what the service really writes, and what is written here, is `usersList`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid
from tailorbird.learn import (
    artifacts,
    batch,
    batch_lines,
    batch_spark,
    catalogue,
    records,
    rows,
    schemas,
    user_filters,
)
from tailorbird.learn.artifacts import Trained
from tailorbird.learn.models.best import top
from tailorbird.learn.recipes.recipe import USER_SEGMENTATION
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_batch_segment_jobs, learn_datasets, learn_schemas
from tailorbird.store import Job

KIND = "learn.batch_segment"
TABLE = learn_batch_segment_jobs
WHAT = "batch segment job"
DEFAULT_RESULTS, MAX_RESULTS = 100, 5_000_000
PIECE_LINES = 500
SHOWN = ("filterArn", "numResults", "jobInput", "jobOutput", "roleArn")
ATTRIBUTES = "aws-item-attribute-affinity"
NUMBERS = ("float", "double", "int", "long")  # types of a schema
CONDITION = re.compile(
    r"\s*items\s*\.\s*(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([\w.-]+))\s*", re.IGNORECASE
)
AND = re.compile(r"and\b", re.IGNORECASE)
Query = np.ndarray  # numbers of the items that count
Belonging = Callable[[list[Query]], np.ndarray]  # [query, user]: the share of a user's score on it


def create_batch_segment_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Start a job; it is PENDING until a worker takes it."""
    count = request.get("numResults", DEFAULT_RESULTS)
    if not 0 <= count <= MAX_RESULTS:
        raise Invalid(f"numResults is {count}; 0 to {MAX_RESULTS} is right")
    arn = batch.create(room, caller, request, TABLE, KIND, WHAT, _check_version)
    return {"batchSegmentJobArn": arn}


def describe_batch_segment_job(
    room: Learn, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        row = records.find(conn, TABLE, caller, request["batchSegmentJobArn"], WHAT)
    return {"batchSegmentJob": _summary(row) | records.given(row, *SHOWN)}


def list_batch_segment_jobs(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All jobs, or those of a solution version."""
    version = request.get("solutionVersionArn")
    where = () if version is None else (TABLE.c.version_arn == version,)
    return records.page(room, TABLE, caller, request, "batchSegmentJobs", _summary, *where)


def run(room: Learn, job: Job) -> None:
    batch.run(room, job, TABLE, partial(_planned, room, job))


def failed(room: Learn, conn: Connection, job: Job, reason: str) -> None:
    batch.failed(room, TABLE, conn, job, reason)


def conditions(text: str) -> list[tuple[str, str]]:
    """(column, value) of `ITEMS.genres = "Comedy" AND ...`; Invalid shows what is right."""
    found, at = [], 0
    while True:
        match = CONDITION.match(text, at)
        joined = match and (match.end() == len(text) or AND.match(text, match.end()))
        if not match or not joined:
            raise Invalid(
                f'itemAttributes: {text[at:].strip()!r} is not ITEMS.COLUMN = "value"; '
                "conditions are joined by AND"
            )
        found.append((match[1].upper(), next(one for one in match.groups()[1:] if one is not None)))
        if joined is True:
            return found
        at = joined.end()


@contextmanager
def _planned(
    room: Learn, job: Job, row: records.Row, version: records.Row, _lines: int
) -> Iterator[batch.Plan]:
    """Every user is scored once for a piece, on Spark when there are many of them."""
    trained = artifacts.load(room.objects, version["artifact"], batch_spark.native(room))
    if not batch_spark.wanted(room, len(trained.users)):
        belonging = partial(_here, job, trained)
        yield batch.Plan(_answering(room, row, version, trained, belonging), PIECE_LINES)
        return
    with batch_spark.opened(room, version["artifact"]) as spark:
        belonging = partial(spark.belonging, len(trained.users))
        answer = _answering(room, row, version, trained, belonging)
        yield batch.Plan(answer, PIECE_LINES, spark.master)


def _here(job: Job, trained: Trained, queries: list[Query]) -> np.ndarray:
    def seen(user: int) -> None:
        if not user % 200:
            job.progress(user, len(trained.users), "users")

    return batch_lines.belonging(trained, queries, range(len(trained.users)), seen)


def _answering(
    room: Learn, row: records.Row, version: records.Row, trained: Trained, belonging: Belonging
) -> batch.Answer:
    by_attribute = version["recipe_arn"].endswith(ATTRIBUTES)
    attributes = _attributes(room, version["group_arn"]) if by_attribute else {}
    count = row["definition"].get("numResults") or DEFAULT_RESULTS
    filter_arn = row["definition"].get("filterArn")

    def answer(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        queries: list[Query | str] = []
        for one in given:
            try:
                queries.append(_query(trained, attributes, one, by_attribute))
            except Invalid as error:
                queries.append(error.message)
        passes = [
            _passes(room, version["group_arn"], trained, filter_arn, one)
            for one, query in zip(given, queries, strict=True)
            if not isinstance(query, str)
        ]
        wanted = [query for query in queries if not isinstance(query, str)]
        segments = iter(_segments(trained, belonging(wanted), passes, count))
        return [
            {"input": one, "output": None, "error": query}
            if isinstance(query, str)
            else {"input": one, "output": {"usersList": next(segments)}, "error": None}
            for one, query in zip(given, queries, strict=True)
        ]

    return answer


def _segments(
    trained: Trained, found: np.ndarray, passes: list[np.ndarray | None], count: int
) -> list[list[str]]:
    """For each query the users with the greatest share of their score on its items."""
    segments = []
    for one, mask in zip(found, passes, strict=True):
        scores = one if mask is None else np.where(mask, one, -np.inf)
        best = top(scores, count)
        segments.append([trained.users[u] for u in best[np.isfinite(scores[best])].tolist()])
    return segments


def _passes(
    room: Learn, group: str, trained: Trained, filter_arn: str | None, given: dict[str, Any]
) -> np.ndarray | None:
    """Which users the job's filter of UserID lets by, with the line's own filterValues."""
    if filter_arn is None:
        return None
    with room.db.read() as conn:
        return user_filters.passes(
            room, conn, group, list(trained.users), filter_arn, given.get("filterValues") or {}
        )


def _query(
    trained: Trained,
    attributes: dict[str, dict[str, list[str]]],
    given: dict[str, Any],
    by_attribute: bool,
) -> Query:
    if not by_attribute:
        item = trained.items.find(str(given.get("itemId", "")))
        if "itemId" not in given:
            raise Invalid('itemId is missing; {"itemId": "..."} is right')
        if item < 0:
            raise Invalid(
                f"The item {given['itemId']!r} was not known when the version was trained"
            )
        return np.array([item])
    if not isinstance(given.get("itemAttributes"), str):
        raise Invalid('itemAttributes is missing; {"itemAttributes": "ITEMS.X = \\"y\\""} is right')
    chosen: set[str] | None = None
    for column, value in conditions(given["itemAttributes"]):
        if column not in attributes:
            known = ", ".join(sorted(attributes)) or "no columns"
            raise Invalid(f"itemAttributes: Items has no column {column}; it has {known}")
        of_value = attributes[column]
        some = set(of_value.get(value) or of_value.get(_number(value)) or ())
        chosen = some if chosen is None else chosen & some
    numbers = [n for one in chosen or () if (n := trained.items.find(one)) >= 0]
    if not numbers:
        raise Invalid("itemAttributes: no item of the training has these attributes")
    return np.array(sorted(numbers))


def _attributes(room: Learn, group: str) -> dict[str, dict[str, list[str]]]:
    """Items by column and value; a value joined by | counts for each of its parts, a number under
    all its spellings."""
    with room.db.read() as conn:
        row = (
            conn.execute(
                learn_datasets.select().where(
                    learn_datasets.c.group_arn == group, learn_datasets.c.type == "ITEMS"
                )
            )
            .mappings()
            .first()
        )
        if row is None:
            raise Invalid("The dataset group has no Items dataset, whose attributes are asked for")
        query = learn_schemas.select().where(learn_schemas.c.arn == row["schema_arn"])
        definition = conn.execute(query).mappings().one()["definition"]
        schema = schemas.parse(definition["schema"], definition.get("domain"))
        names = [column.name for column in schema.columns]
        place = names.index("ITEM_ID")
        imported = rows.bulk(room, conn, row["arn"], schema)
        put = rows.put_records(conn, row["arn"], schema, "ITEM_ID")
        items = {cells[place]: cells for some in (imported, put) for cells in some}
    found: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    numbers = {column.name for column in schema.columns if column.type in NUMBERS}
    for item, cells in items.items():
        for name, cell in zip(names, cells, strict=True):
            for value in [_number(cell)] if name in numbers else cell.split("|"):
                found[name].setdefault(value, []).append(item)
    return found


def _number(text: str) -> str:
    """One spelling for 3, 3.0 and 3e0; what is no number as it is."""
    try:
        return str(float(text))
    except ValueError:
        return text


def _check_version(_conn: Connection, version: records.Row) -> None:
    recipe = catalogue.find(version["recipe_arn"])
    if recipe.type != USER_SEGMENTATION:
        raise Invalid(
            f"{recipe.name} makes no user segments; aws-item-affinity and "
            "aws-item-attribute-affinity do"
        )


def _summary(row: records.Row) -> dict[str, Any]:
    shown = {"batchSegmentJobArn": row["arn"], "jobName": row["name"]}
    version = {"solutionVersionArn": row["version_arn"]}
    return shown | version | records.state(row) | records.times(row)
