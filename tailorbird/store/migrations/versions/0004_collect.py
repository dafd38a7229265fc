"""Tables of the room (see its tables.py)."""

revision = "0004_collect"
down_revision = "0003_learn"


def upgrade() -> None:
    pass
