"""How good a version is beside the simplest rival, popularity, on the same kept-out users."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import comparison
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_solution_versions

SPLIT = ("interactions", "users", "items", "test_users")
MAIN = "normalized_discounted_cumulative_gain_at_25"


def report(room: Learn, solution_version_arn: str) -> dict[str, Any]:
    """Everything a training measured and chose: metrics, popularity's too, weights, CPU seconds."""
    table = learn_solution_versions
    with room.db.read() as conn:
        query = sa.select(table.c.report).where(table.c.arn == solution_version_arn)
        found = conn.execute(query).scalar()
    if found is None:
        raise NotFound(f"The solution version {solution_version_arn} has no report")
    return found


def against_popularity(
    room: Learn, solution_version_arn: str, metric: str = MAIN
) -> dict[str, Any]:
    """One metric of the version and of popularity, and their ratio (None beside 0)."""
    found = report(room, solution_version_arn)
    ours, theirs = found["metrics"][metric], found["popularity"][metric]
    return {
        "metric": metric,
        "version": ours,
        "popularity": theirs,
        "ratio": round(ours / theirs, 2) if theirs else None,
        "test_users": found["test_users"],
    }


def compare(room: Learn, versions: list[str], *, again: bool = True) -> dict[str, Any]:
    """Metrics of solution versions side by side, all measured on the same users.

    The split is by the seed and the data: versions trained on the same rows share it. Others are
    trained anew on the rows of today without one set of users (`again`), which takes as long as
    their trainings took.
    """
    if not versions:
        raise Invalid("version= is missing; name two solution versions or more")
    reports = [(arn, report(room, arn)) for arn in versions]
    rows = []
    for arn, one in reports:
        if not one.get("metrics"):
            raise Invalid(f"{arn} was updated, which measures nothing; compare its FULL version")
        rows.append({"version": arn, **one["metrics"], **one["honest"]})
    splits = {tuple(one.get(name) for name in SPLIT) for _, one in reports}
    if len(splits) > 1 and again:
        return comparison.measure(room, versions)
    return {"same_split": len(splits) == 1, "trained_anew": False, "versions": rows}
