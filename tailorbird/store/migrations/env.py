"""Alembic's hook: run on the connection that `upgrade` holds."""

from alembic import context

from tailorbird.store.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,  # for the names of constraints
    transactional_ddl=False,
)
context.run_migrations()
