"""What a training gets beside interactions: Items, Users, Actions and action interactions."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.errors import Invalid
from tailorbird.learn import actions, catalogue, datasets, parts, records, solutions, tables_out
from tailorbird.learn.metadata import ID_COLUMN, NUMERIC
from tailorbird.learn.recipes.recipe import (
    PERSONALIZED_ACTIONS,
    PERSONALIZED_RANKING,
    USER_PERSONALIZATION,
    Recipe,
)
from tailorbird.learn.room import Learn
from tailorbird.learn.schemas import Schema
from tailorbird.learn.tables import learn_datasets, learn_parts

BY_USERS = (PERSONALIZED_ACTIONS, PERSONALIZED_RANKING, USER_PERSONALIZATION)
NAME, TEXTUAL, CATEGORICAL = "name", "textual", "categorical"


def check(conn: Connection, group: str, recipe_arn: str | None, definition: dict[str, Any]) -> None:
    """Invalid when the group lacks a dataset or a column that the training is to use."""
    _check_named(conn, group, definition)
    recipe = None if recipe_arn is None else catalogue.find(recipe_arn)
    if recipe is None:
        return
    for kind in recipe.needs:
        if datasets.schema_of(conn, group, kind) is None:
            raise Invalid(f"{recipe.name} needs a dataset of {kind} in the dataset group {group}")
    schema = datasets.schema_of(conn, group, "ITEMS")
    if recipe.by_texts and schema is not None:
        found = set(roles(schema, [column.name for column in schema.columns]).values())
        for role, flag in ((NAME, "itemName"), (TEXTUAL, "textual")):
            if role not in found:
                raise Invalid(
                    f'{recipe.name} needs a string field of Items with "{flag}": true; the schema '
                    "has none (UpdateDataset gives the dataset another schema)"
                )


def _check_named(conn: Connection, group: str, definition: dict[str, Any]) -> None:
    """Columns that are left out or let in, and the objective's, have to be there."""
    config = definition.get("solutionConfig") or definition.get("recommenderConfig") or {}
    for member in solutions.COLUMN_MEMBERS:
        given = (config.get("trainingDataConfig") or {}).get(member) or {}
        for dataset, names in given.items():
            known = datasets.columns_of(conn, group, datasets.dataset_type(dataset))
            for name in names:
                if name.upper() not in known:
                    raise Invalid(
                        f"trainingDataConfig.{member}: {dataset} has no column {name}; it has "
                        f"{', '.join(sorted(known)) or 'no schema in this group'}"
                    )
    column = ((config.get("optimizationObjective") or {}).get("itemAttribute") or "").upper()
    schema = datasets.schema_of(conn, group, "ITEMS") if column else None
    if column and not any(
        one.name == column and one.type in NUMERIC and not one.nullable
        for one in (schema.columns if schema else ())
    ):
        raise Invalid(
            f"optimizationObjective.itemAttribute: Items needs a column of numbers {column} that "
            "does not allow null"
        )


def of(
    room: Learn, stack: ExitStack, row: records.Row, recipe: Recipe, folder: Path
) -> dict[str, Any]:
    """Paths of the tables, only with the columns that the solution lets into its training."""
    group, definition = row["group_arn"], row["definition"]
    with room.db.read() as conn:
        schema = datasets.schema_of(conn, group, "ITEMS")
        items = tables_out.export(room, conn, group, "ITEMS", folder / "items.npz")
        found: dict[str, Any] = {"items": items, "metadata": {}}
        if items is not None and schema is not None:
            found["metadata"] = _restricted(Path(items), schema, definition)
        if recipe.type not in BY_USERS:
            return found
        found["users"] = _users(room, conn, group, definition, folder / "users.npz")
        if recipe.type != PERSONALIZED_ACTIONS:
            return found
        found["actions"] = tables_out.export(room, conn, group, "ACTIONS", folder / "actions.npz")
        uris = _uris(conn, group)
    live = folder / "actions-live.npz"
    actions.export(room, group, live)
    fetched = [str(stack.enter_context(room.objects.fetch(uri))) for uri in uris]
    return found | {"action_parts": [*fetched, str(live)]}


def _users(
    room: Learn, conn: Connection, group: str, definition: dict[str, Any], path: Path
) -> str | None:
    """The Users dataset without texts and without what is left out."""
    users = tables_out.export(room, conn, group, "USERS", path)
    schema = datasets.schema_of(conn, group, "USERS")
    if users is not None and schema is not None:
        _restricted(Path(users), schema, definition, keep_texts=False)
    return users


def roles(schema: Schema, wanted: list[str]) -> dict[str, str]:
    """What each text column is for: name, textual or categorical; others are for filters only."""
    found = {}
    for column in schema.columns:
        if column.name in wanted and column.type == "string":
            if column.item_name:
                found[column.name] = NAME
            elif column.textual:
                found[column.name] = TEXTUAL
            elif column.categorical:
                found[column.name] = CATEGORICAL
    return found


def _restricted(
    path: Path, schema: Schema, definition: dict[str, Any], *, keep_texts: bool = True
) -> dict[str, str]:
    """Drop the columns a training may not see; the roles of the texts that stay."""
    key = ID_COLUMN[schema.dataset_type]
    names = [column.name for column in schema.columns if column.name != key]
    wanted = solutions.columns_wanted(definition, names, schema.dataset_type)
    part = parts.read(path)
    kept = roles(schema, wanted)
    if not keep_texts:
        kept = {name: role for name, role in kept.items() if role == CATEGORICAL}
    types = {column.name: column.type for column in schema.columns}
    objective = (definition.get("solutionConfig") or {}).get("optimizationObjective") or {}
    also = str(objective.get("itemAttribute", "")).upper()
    strings = {name: one for name, one in part.strings.items() if name == key or name in kept}
    numbers = {
        name: one
        for name, one in part.numbers.items()
        if types.get(name) in NUMERIC and (name in wanted or name == also)
    }
    parts.write_rows(path, parts.Part(strings, numbers), parts.every(part))
    return kept


def _uris(conn: Connection, group: str) -> list[str]:
    query = (
        sa.select(learn_parts.c.uri)
        .join(learn_datasets, learn_datasets.c.arn == learn_parts.c.dataset_arn)
        .where(learn_datasets.c.group_arn == group, learn_datasets.c.type == "ACTION_INTERACTIONS")
        .order_by(learn_parts.c.id)
    )
    return list(conn.execute(query).scalars())
