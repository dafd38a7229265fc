"""Engines that turn a source's archive into interactions: one file each, one rule for all."""

from tailorbird.prepare.engines import duckdb

ENGINES = {"duckdb": duckdb.convert}
DEFAULT = "duckdb"
