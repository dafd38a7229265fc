"""The cellar: database, jobs, objects. It knows no room and no service."""

from tailorbird.store.database import (
    Database,
    Document,
    Question,
    Serial,
    ask,
    each,
    fetch,
    insert,
    metadata,
)
from tailorbird.store.jobs import Job, Jobs, Kind, Later, LeaseLost
from tailorbird.store.objects import ObjectInfo, Objects, location
from tailorbird.store.worker import Worker

__all__ = [
    "Database",
    "Document",
    "Job",
    "Jobs",
    "Kind",
    "Later",
    "LeaseLost",
    "ObjectInfo",
    "Objects",
    "Question",
    "Serial",
    "Worker",
    "ask",
    "each",
    "fetch",
    "insert",
    "location",
    "metadata",
]
