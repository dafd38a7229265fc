"""The study, Personalize's words: datasets, solutions, campaigns, trackers, recommendations."""

from functools import partial

from tailorbird.learn import imports, metrics, training
from tailorbird.learn.room import Learn
from tailorbird.learn.serving import recommend
from tailorbird.store import Kind

__all__ = ["Learn", "job_kinds", "metrics", "recommend"]


def job_kinds(room: Learn) -> dict[str, Kind]:
    """Imports and trainings."""
    return {
        imports.KIND: Kind(
            partial(imports.run, room), partial(imports.failed, room), imports.QUEUE
        ),
        training.KIND: Kind(
            partial(training.run, room), partial(training.failed, room), training.QUEUE
        ),
    }
