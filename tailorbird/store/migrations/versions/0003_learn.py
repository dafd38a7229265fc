"""Tables of the room (see its tables.py)."""

revision = "0003_learn"
down_revision = "0002_functions"


def upgrade() -> None:
    pass
