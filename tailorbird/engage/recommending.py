"""Recommendations for a batch: the model is asked for its people, a function may make words of it.

Who gets none is not sent to. Source: Pinpoint developer guide, "Customizing recommendations with
AWS Lambda"; what it leaves open is said in docs/messages.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.engage import hook_calls, hooks, recommenders
from tailorbird.engage.apps import App
from tailorbird.engage.recommenders import BY_USER, PREFIX, Configuration
from tailorbird.engage.room import Engage, Items
from tailorbird.errors import NotFound, TailorbirdError

ITEMS, MADE = "RecommendationItems", "Recommendations"
NO_USER = "It has no User.UserId, by which the recommender knows people"

Definition = dict[str, Any]


class Recommender(NamedTuple):
    """What fills the recommendations of a channel's template."""

    configuration: Configuration
    transformer: hooks.Call | None
    payload: dict[str, Any]  # what the transformer is told besides the endpoints
    missing: str | None = None  # why it cannot be asked at all


@dataclass
class Recommended:
    """Endpoints with what is recommended to them, and why the others have none."""

    endpoints: dict[str, Definition] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    attempts: list[hooks.Attempt] = field(default_factory=list)


def of_template(
    room: Engage, conn: Connection, app: App, recommender_id: str, payload: dict[str, Any]
) -> Recommender:
    """The recommender a template names, as the run of a campaign asks it."""
    try:
        found = recommenders.find(conn, app, recommender_id)
    except NotFound as gone:
        return Recommender({}, None, payload, gone.message)
    target = found.get("RecommendationTransformerUri")
    if not target:
        return Recommender(found, None, payload)
    source = ids.arn("mobiletargeting", app.region, app.account, f"recommenders/{recommender_id}")
    return Recommender(found, hook_calls.for_source(room, app, source, target), payload)


def fill(room: Engage, recommender: Recommender, endpoints: dict[str, Definition]) -> Recommended:
    """Ask for a batch of at most 50 endpoints."""
    result = Recommended()
    if recommender.missing is not None:
        result.refused = dict.fromkeys(endpoints, recommender.missing)
        return result
    wanted = recommender.configuration
    people = {key: _person(wanted, key, endpoint) for key, endpoint in endpoints.items()}
    result.refused = {key: NO_USER for key, person in people.items() if person is None}
    names = () if recommender.transformer else tuple(wanted.get("Attributes") or ())
    columns = [name.removeprefix(PREFIX) for name in names]
    asked = list(dict.fromkeys(person for person in people.values() if person is not None))
    found = (
        room.recommend(
            wanted["RecommendationProviderUri"], asked, wanted["RecommendationsPerMessage"], columns
        )
        if asked
        else {}
    )
    for key, person in people.items():
        if person is None:
            continue
        items = found[person]
        if isinstance(items, TailorbirdError):
            result.refused[key] = f"The recommender gave nothing: {items.message}"
        else:
            result.endpoints[key] = _filled(endpoints[key], items, columns)
    if recommender.transformer is not None and result.endpoints:
        _transform(room, recommender, result)
    return result


def _person(configuration: Configuration, key: str, endpoint: Definition) -> str | None:
    if configuration["RecommendationProviderIdType"] != BY_USER:
        return key
    return (endpoint.get("User") or {}).get("UserId") or None


def _filled(endpoint: Definition, items: Items, columns: list[str]) -> Definition:
    """The definition with what the model recommends; what it has of its own stays."""
    made = {name: [values.get(name, "") for _, values in items] for name in columns}
    own = {**made, **(endpoint.get(MADE) or {})}
    found: Definition = {**endpoint, ITEMS: [item for item, _ in items]}
    return {**found, MADE: own} if own else found


def _transform(room: Engage, recommender: Recommender, result: Recommended) -> None:
    """The customer's function makes Recommendations of the items."""
    assert recommender.transformer is not None
    given = result.endpoints
    event = hooks.event_of(
        recommender.payload, given, empty_attributes=room.settings.engage_hook_empty_attributes
    )
    done = hooks.filter_batch(
        recommender.transformer,
        event,
        lenient=room.settings.engage_hook_lenient,
        now=room.clock.now,
    )
    result.attempts, result.endpoints = done.attempts, {}
    for key in given:
        returned = done.kept.get(key)
        if returned is None:
            why = done.failure or "the function left it out"
            result.refused[key] = f"The recommendation transformer failed: {why}"
        elif not isinstance(returned.get(MADE) or {}, dict):
            result.refused[key] = "The recommendation transformer returned no map Recommendations"
        else:
            made = {name: _listed(value) for name, value in (returned.get(MADE) or {}).items()}
            result.endpoints[key] = {**given[key], **returned, MADE: made}


def _listed(value: Any) -> list[Any]:
    """`{{Recommendations.x.[0]}}` and `{{Recommendations.x}}` both have to work."""
    return value if isinstance(value, list) else [value]
