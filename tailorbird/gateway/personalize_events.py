"""Operations of this service: its own names -> the functions of the room."""

from tailorbird.learn import actions, events, puts

OPERATIONS = {
    "PutEvents": events.put_events,
    "PutItems": puts.put_items,
    "PutUsers": puts.put_users,
    "PutActions": puts.put_actions,
    "PutActionInteractions": actions.put_action_interactions,
}
