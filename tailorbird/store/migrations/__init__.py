"""Bring a database to the newest form; safe to call from several processes at once."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tailorbird.store.database import Database

LOCK_NUMBER = 7_243_101  # any fixed number: PostgreSQL's advisory lock for migrations
FOLDER = Path(__file__).parent


def upgrade(db: Database) -> None:
    """Run the migrations the database has not seen."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with db.read() as conn:
        if MigrationContext.configure(conn).get_current_revision() == newest:
            return
    with db.write() as conn:
        if db.dialect == "postgresql":
            conn.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOCK_NUMBER})
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
