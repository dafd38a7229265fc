"""The study, Personalize's words: datasets, solutions, campaigns, trackers, recommendations."""

from functools import partial

from tailorbird.learn import deletions, exports, imports, metrics, training
from tailorbird.learn.room import Learn
from tailorbird.learn.serving import recommend
from tailorbird.store import Kind

__all__ = ["Learn", "job_kinds", "metrics", "recommend"]


def job_kinds(room: Learn) -> dict[str, Kind]:
    """What is done in the background: imports, trainings, exports, deletions."""
    return {
        exports.KIND: Kind(
            partial(exports.run, room), partial(exports.failed, room), exports.QUEUE
        ),
        deletions.KIND: Kind(
            partial(deletions.run, room), partial(deletions.failed, room), deletions.QUEUE
        ),
        imports.KIND: Kind(
            partial(imports.run, room), partial(imports.failed, room), imports.QUEUE
        ),
        training.KIND: Kind(
            partial(training.run, room), partial(training.failed, room), training.QUEUE
        ),
    }
