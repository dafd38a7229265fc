"""The study, Personalize's words: datasets, solutions, campaigns, trackers, recommendations."""

from functools import partial

from tailorbird.learn import (
    attribution_reports,
    automatic_updates,
    autotraining,
    batch_inference,
    batch_segments,
    deletions,
    exports,
    imports,
    metrics,
    pace,
    retraining,
    training,
)
from tailorbird.learn.room import Learn
from tailorbird.learn.serving import recommend
from tailorbird.store import Kind

QUEUE = imports.QUEUE

__all__ = ["Learn", "job_kinds", "metrics", "recommend"]


def job_kinds(room: Learn) -> dict[str, Kind]:
    """What is done in the background: imports, trainings, exports, deletions, batches."""
    deeds = (
        imports,
        training,
        autotraining,
        exports,
        deletions,
        batch_inference,
        batch_segments,
        attribution_reports,
        automatic_updates,
        retraining,
        pace,
    )
    return {
        deed.KIND: Kind(partial(deed.run, room), partial(deed.failed, room), QUEUE)
        for deed in deeds
    }
