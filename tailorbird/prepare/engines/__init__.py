"""Engines that turn files of lines into parts: one file each, one rule for all."""

from tailorbird.prepare.engines import duckdb, plain, spark
from tailorbird.prepare.engines.work import Engine

ENGINES: dict[str, Engine] = {"duckdb": duckdb.run, "python": plain.run, "spark": spark.run}
DEFAULT = "python"
