"""Amazon Personalize Events, operation by operation: the room's functions under the service's own names."""

from tailorbird.learn import events

OPERATIONS = {
    "PutEvents": events.put_events,
}
