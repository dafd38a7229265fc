"""The cellar: database, jobs, objects. It knows no room and no service."""

from tailorbird.store.database import Database, Document, Serial, insert, metadata
from tailorbird.store.jobs import Job, Jobs, Kind, LeaseLost, Worker
from tailorbird.store.objects import ObjectInfo, Objects, location

__all__ = [
    "Database",
    "Document",
    "Job",
    "Jobs",
    "Kind",
    "LeaseLost",
    "ObjectInfo",
    "Objects",
    "Serial",
    "Worker",
    "insert",
    "location",
    "metadata",
]
