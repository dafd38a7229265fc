"""A workshop of its own for the tests, and zips made from text."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.access import Access, Caller
from tailorbird.clock import SystemClock
from tailorbird.functions import Functions, Invocation, catalog, invocations
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects
from tailorbird.store.migrations import upgrade

ACCOUNT = "123456789012"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/functions"
OWNER = Caller(
    ACCOUNT,
    REGION,
    f"arn:aws:iam::{ACCOUNT}:root",
    "AKIATEST",
    "5f0d7e4c-0000-4000-8000-000000000001",
)


def zipped(files: Mapping[str, str | bytes], executable: tuple[str, ...] = ("bootstrap",)) -> bytes:
    """A zip of files by name; those named `executable` may be run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            mode = 0o755 if name.split("/")[-1] in executable else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def open_workshop(db: Database, settings: Settings) -> Functions:
    clock = SystemClock()
    jobs = Jobs(db, clock, lease_seconds=5.0)
    objects = Objects(settings.data / "objects", settings)
    return Functions(db, jobs, objects, clock, settings, Access(db, clock, settings))


@dataclass
class Workshop:
    """Functions by their source text, and what invoking them gives."""

    room: Functions
    made: int = 0

    def create(self, source: str, runtime: str = "python3.12", **members: Any) -> str:
        """A new function from one file's text; its name."""
        self.made += 1
        name = f"f{self.made}"
        usual = "app.py" if runtime.startswith("python") else "app.js"
        usual = "bootstrap" if runtime.startswith("provided") else usual
        files = members.pop("files", {}) | {members.pop("file", usual): source}
        request = {
            "FunctionName": name,
            "Runtime": runtime,
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped(files)},
            **members,
        }
        catalog.create_function(self.room, OWNER, request)
        return name

    def invoke(self, name: str, event: Any = None, **more: Any) -> Invocation:
        payload = json.dumps({} if event is None else event).encode()
        options = {"caller": OWNER, "account": ACCOUNT, "region": REGION, "log_type": "Tail"}
        return invocations.invoke(self.room, name, payload, **options | more)

    def run(self, source: str, event: Any = None, **members: Any) -> Invocation:
        """Create and invoke once."""
        return self.invoke(self.create(source, **members), event)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """One started workshop for tests of how code runs, where the database plays no part."""
    folder = tmp_path_factory.mktemp("workshop")
    settings = settings_module.load({"data": folder / "data"}, environment={}, folder=folder)
    db = Database(settings.database())
    upgrade(db)
    room = open_workshop(db, settings)
    room.start()
    yield Workshop(room)
    room.stop()
    db.close()


@pytest.fixture
def room(db: Database, settings: Settings) -> Iterator[Functions]:
    """A fresh room on each database; its environments start only when something is invoked, and
    anew: it is not worth while to load an interpreter for them."""
    settings.functions_templates = 0
    made = open_workshop(db, settings)
    yield made
    made.stop()


@pytest.fixture
def examples() -> Path:
    return Path(__file__).resolve().parents[3] / "examples"
