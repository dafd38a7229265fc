"""Recommendation ids that tell their campaign: RID-<unique>-CID-<mark>, as the service's do."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.learn.tables import learn_campaigns, learn_recommenders, learn_solutions

UNIQUE_CHARACTERS = 25  # with the rest 40, the most a recommendationId may have
MARK_CHARACTERS = 6
MARKED = "-CID-"


def recommendation_id(unique: str, arn: str) -> str:
    """An id of 40 characters for an answer of this campaign or recommender."""
    return f"RID-{unique[-UNIQUE_CHARACTERS:]}{MARKED}{_mark_of(arn)}"


def mark(recommendation_id: str) -> str:
    """The campaign's part of an id; empty for an id that is not ours."""
    _, found, rest = recommendation_id.partition(MARKED)
    return rest if found else ""


def by_mark(conn: Connection, group: str) -> dict[str, str]:
    """The campaigns and recommenders of a dataset group."""
    solutions = sa.select(learn_solutions.c.arn).where(learn_solutions.c.group_arn == group)
    campaigns = sa.select(learn_campaigns.c.arn).where(
        learn_campaigns.c.solution_arn.in_(solutions)
    )
    recommenders = sa.select(learn_recommenders.c.arn).where(
        learn_recommenders.c.group_arn == group
    )
    arns = [*conn.execute(campaigns).scalars(), *conn.execute(recommenders).scalars()]
    return {_mark_of(arn): arn for arn in arns}


@lru_cache(1024)
def _mark_of(arn: str) -> str:
    return sha256(arn.encode()).hexdigest()[:MARK_CHARACTERS]
