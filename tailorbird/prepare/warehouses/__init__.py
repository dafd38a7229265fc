"""The same datasets out of a warehouse's tables, named as Segment names them: one file a kind."""

from tailorbird.prepare.warehouses import duckdb_file, postgres, redshift, snowflake
from tailorbird.prepare.warehouses.select import DIALECTS, counts, inner

UNLOADS = {
    "redshift": redshift.unload,
    "snowflake": snowflake.unload,
    "postgres": postgres.unload,
    "duckdb": duckdb_file.unload,
}

SQL = {
    "redshift": redshift.sql,
    "snowflake": snowflake.sql,
    "postgres": postgres.sql,
    "duckdb": duckdb_file.sql,
}

__all__ = ["DIALECTS", "SQL", "UNLOADS", "counts", "inner"]
