"""What became of the calls: counted in buckets of ten minutes, with the last samples of a reason.

The steps are those of Segment's Delivery Overview.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.collect.tables import counts, samples
from tailorbird.store import Database, ask, insert

BUCKET_SECONDS = 600
SAMPLES_KEPT = 10
SAMPLE_MAX_CHARACTERS = 2_000

RECEIVED = "successfully_received"
FAILED_ON_INGEST = "failed_on_ingest"
FILTERED_AT_SOURCE = "filtered_at_source"
FILTERED_AT_DESTINATION = "filtered_at_destination"
RETRIED = "retried"
FAILED_DELIVERY = "failed_delivery"
DELIVERED = "successful_delivery"

ADD_COUNT = (
    "INSERT INTO collect_counts (owner, bucket, step, reason, type, n) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (owner, bucket, step, reason, type)"
    " DO UPDATE SET n = collect_counts.n + excluded.n"
)


@dataclass(frozen=True, slots=True)
class Sample:
    owner: str
    reason: str
    message: str
    payload: str


@dataclass(slots=True)
class Tally:
    """Counts and samples gathered in memory, written together with what they count."""

    numbers: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)

    def add(self, owner: str, step: str, reason: str, call_type: str, n: int = 1) -> None:
        self.numbers[owner, step, reason, call_type] += n

    def merge(self, other: Tally) -> None:
        self.numbers.update(other.numbers)
        self.samples += other.samples

    def sample(self, owner: str, reason: str, message: str, payload: str) -> None:
        """Keep what was said about a call, without the NUL characters PostgreSQL does not take."""
        said, cut = (
            text[:SAMPLE_MAX_CHARACTERS].replace("\0", "\ufffd") for text in (message, payload)
        )
        self.samples.append(Sample(owner, reason, said, cut))


def write(db: Database, conn: Connection, tally: Tally, now: float) -> None:
    """Add a tally to the tables, inside the transaction of what it counts."""
    bucket = int(now // BUCKET_SECONDS) * BUCKET_SECONDS
    rows = [
        (owner, bucket, step, reason, kind, n)
        for (owner, step, reason, kind), n in sorted(tally.numbers.items())
    ]
    statement = db.sql(ADD_COUNT)
    if rows:
        ask(conn, [(statement, row) for row in rows])
    for slot_of, sample in _last(tally.samples):
        _put_sample(db, conn, sample, slot_of, now)


def totals(db: Database, owner: str, since: float = 0.0) -> list[dict[str, Any]]:
    """What became of the calls of a source or destination: one row for a step, reason and type."""
    c = counts.c
    query = (
        sa.select(c.step, c.reason, c.type, sa.func.sum(c.n).label("n"))
        .where(c.owner == owner, c.bucket >= since - BUCKET_SECONDS)
        .group_by(c.step, c.reason, c.type)
        .order_by(c.step, c.reason, c.type)
    )
    with db.read() as conn:
        return [dict(row, n=int(row["n"])) for row in conn.execute(query).mappings()]


def over_time(
    db: Database, owner: str, step: str, since: float, until: float
) -> list[dict[str, Any]]:
    """One step's counts in buckets of ten minutes, by reason and type."""
    c = counts.c
    query = (
        sa.select(c.bucket, c.reason, c.type, c.n)
        .where(c.owner == owner, c.step == step)
        .where(c.bucket > since - BUCKET_SECONDS, c.bucket < until)
        .order_by(c.bucket)
    )
    with db.read() as conn:
        return [dict(row) for row in conn.execute(query).mappings()]


def by_step(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The totals of `totals()` by step only."""
    steps: Counter[str] = Counter()
    for row in rows:
        steps[row["step"]] += row["n"]
    return dict(steps)


def last_samples(db: Database, owner: str) -> list[dict[str, Any]]:
    """The newest calls that were not delivered or not taken, with what was said about each."""
    query = sa.select(samples).where(samples.c.owner == owner).order_by(samples.c.at.desc())
    with db.read() as conn:
        return [dict(row) for row in conn.execute(query).mappings()]


def _last(given: list[Sample]) -> list[tuple[int, Sample]]:
    """The newest samples of each reason, numbered from 0."""
    kept: dict[tuple[str, str], list[Sample]] = {}
    for sample in given:
        kept.setdefault((sample.owner, sample.reason), []).append(sample)
    return [
        (number, sample)
        for group in kept.values()
        for number, sample in enumerate(group[-SAMPLES_KEPT:])
    ]


def _put_sample(db: Database, conn: Connection, sample: Sample, number: int, now: float) -> None:
    """Overwrite the oldest of the slots of this reason."""
    c = samples.c
    mine = (c.owner == sample.owner, c.reason == sample.reason)
    found = conn.execute(sa.select(c.slot, c.at).where(*mine))
    used = {row.slot: row.at for row in found}
    free = [slot for slot in range(SAMPLES_KEPT) if slot not in used]
    slot = free[0] if free else min(used, key=lambda s: (used[s], s))
    at = now + number * 1e-6  # those of one tally keep their order
    values = {"at": at, "message": sample.message, "payload": sample.payload}
    row = {"owner": sample.owner, "reason": sample.reason, "slot": slot, **values}
    statement = insert(db, samples).values(row)
    keys = [samples.c.owner, samples.c.reason, samples.c.slot]
    conn.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))
