"""Warehouses of every kind, opened fresh, and how a customer asks them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tailorbird.collect import warehouse

KINDS = ("postgres", "duckdb", "sqlite")


@dataclass
class Place:
    """Where one warehouse is: its kind, its settings and the folder of files."""

    kind: str
    settings: dict[str, Any]
    folder: Path

    def open(self, schema: str = "prod") -> warehouse.Connection:
        return warehouse.find(self.kind).open(self.settings, self.folder, schema)

    def ask(self, query: str, schema: str = "prod") -> list[tuple[Any, ...]]:
        """Rows of a query that names tables as `prod.tracks`, by the database's own driver."""
        if self.kind == "duckdb":
            import duckdb

            with duckdb.connect(str(self.folder / self.settings["file"])) as conn:
                return list(conn.execute(query).fetchall())
        if self.kind == "sqlite":
            import sqlite3

            with sqlite3.connect(":memory:") as conn:
                file = self.folder / self.settings["file"] / f"{schema}.sqlite"
                conn.execute(f"ATTACH '{file}' AS {schema}")
                return conn.execute(query).fetchall()
        import psycopg

        s = self.settings
        with psycopg.connect(host=s["host"], dbname=s["database"], user=s["username"]) as pg:
            pg.execute("SET TIME ZONE 'UTC'")
            return list(pg.execute(query.encode()).fetchall())


def place(kind: str, request: pytest.FixtureRequest, folder: Path) -> Place:
    """A fresh warehouse; a database of its own on PostgreSQL."""
    name = f"w_{uuid.uuid4().hex[:12]}"
    if kind != "postgres":
        return Place(kind, {"file": name}, folder)
    url: sa.URL = request.getfixturevalue("postgres")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    given = {
        "host": url.host or url.query.get("host"),
        "port": str(url.port) if url.port else None,
        "database": name,
        "username": url.username,
        "password": url.password,
    }
    return Place(kind, {key: value for key, value in given.items() if value}, folder)
