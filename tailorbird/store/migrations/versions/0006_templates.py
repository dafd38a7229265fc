"""Tables of the room (see its tables.py)."""

revision = "0006_templates"
down_revision = "0005_engage"


def upgrade() -> None:
    pass
