"""Operations of this service: its own names -> the functions of the room."""

OPERATIONS: dict = {}
