"""What a reserved concurrency costs: counting one invocation in the database and out again.

The same without a reservation in the same run, and the smallest possible transaction of the same
database as the limit below. PostgreSQL where TAILORBIRD_TEST_POSTGRES_URL names one.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tailorbird import settings as settings_module
from tailorbird.access import Access
from tailorbird.clock import SystemClock
from tailorbird.functions import Functions
from tailorbird.functions.busy import Busy
from tailorbird.functions.log_lines import Logging
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import FunctionVersion
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects
from tailorbird.store.migrations import upgrade

ROUNDS = 1000
REF = FunctionRef("123456789012", "us-east-1", "bench")
VERSION = FunctionVersion(
    REF, "$LATEST", "r", "python3.12", "app.handler", "", {}, 3, 128, 512, "", Logging("g")
)


def main() -> None:
    urls = {"SQLite": None, "PostgreSQL": os.environ.get("TAILORBIRD_TEST_POSTGRES_URL")}
    for name, url in urls.items():
        if name == "PostgreSQL" and not url:
            continue
        with tempfile.TemporaryDirectory() as folder:
            given: dict[str, Any] = {"data": Path(folder)} | ({"database_url": url} if url else {})
            measure(name, settings_module.load(given, environment={}))


def measure(name: str, settings: Settings) -> None:
    db, clock = Database(settings.database()), SystemClock()
    upgrade(db)
    objects, access = Objects(settings.data / "objects", settings), Access(db, clock, settings)
    busy = Busy(Functions(db, Jobs(db, clock), objects, clock, settings, access))

    def nothing() -> None:
        with db.write() as conn:
            conn.exec_driver_sql("DELETE FROM functions_running WHERE id = 'none'")

    def counted(version: FunctionVersion) -> Callable[[], None]:
        def run() -> None:
            busy.take(version)
            busy.give(REF.arn)

        return run

    plain, reserved = counted(VERSION), counted(replace(VERSION, reserved=10))
    print(f"{name}: medians of {ROUNDS} in microseconds")
    print(f"  not reserved                {median(plain):8.1f}")
    print(f"  reserved: taken and given   {median(reserved):8.1f}")
    print(f"  one transaction (of the two){median(nothing):8.1f}")
    db.close()


def median(run: Callable[[], None]) -> float:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        took.append((time.perf_counter() - began) * 1e6)
    return statistics.median(took)


if __name__ == "__main__":
    main()
