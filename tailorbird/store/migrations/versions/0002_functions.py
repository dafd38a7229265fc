"""Tables of the room (see its tables.py)."""

revision = "0002_functions"
down_revision = "0001_store_access"


def upgrade() -> None:
    pass
