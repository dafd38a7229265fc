"""Operations of this service: its own names -> the functions of the room."""

from tailorbird.learn import events

OPERATIONS = {
    "PutEvents": events.put_events,
}
