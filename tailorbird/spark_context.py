"""PySpark in this process, for one room at a time: on this machine or on a cluster by its URL.

A Spark that runs here already is taken as it is and left running; one of our own is stopped.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tailorbird.errors import Invalid, Unavailable

MASTER = "local[*]"
MISSING = "Spark needs PySpark and Java 17 or newer: pip install 'tailorbird[spark]'"
ERROR_CHARACTERS = 500
_alone = threading.Lock()  # a process has one Spark, and what it was sent stays with it


@contextmanager
def opened(master: str | None, name: str) -> Iterator[tuple[Any, bool]]:
    """A SparkContext, and whether it is ours and stopped at the end.

    Invalid without PySpark or beside a Spark with another master; Unavailable when it fails.
    """
    with _alone:
        context, ours = _context(master, name)
        try:
            yield context, ours
        finally:
            if ours:
                context.stop()


def _context(master: str | None, name: str) -> tuple[Any, bool]:
    try:
        from pyspark import SparkConf, SparkContext
        from pyspark.errors import PySparkException
    except ImportError:
        raise Invalid(MISSING) from None
    running = SparkContext._active_spark_context
    if running is not None:
        if master not in (None, running.master):
            raise Invalid(f"Spark runs with master {running.master} already, not {master}")
        return running, False
    chosen = master or MASTER
    if chosen.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf().setMaster(chosen).setAppName(name)
    for key, value in (("spark.ui.enabled", "false"), ("spark.ui.showConsoleProgress", "false")):
        conf.setIfMissing(key, value)
    try:
        return SparkContext(conf=conf), True
    except (PySparkException, OSError) as error:
        raise Unavailable(f"{MISSING} ({str(error)[:ERROR_CHARACTERS]})") from None
