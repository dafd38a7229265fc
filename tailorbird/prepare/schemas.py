"""The Avro schema that a mapping's output is imported with.

Source: Amazon Personalize developer guide, "Datasets and schemas".
"""

from __future__ import annotations

import json
from typing import Any

from tailorbird.prepare.mapping import Dataset

KINDS = {"seconds": "long"}
NEEDED = ("user", "item", "seconds")  # never null
FREE = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE")


def avro(dataset: Dataset) -> dict[str, Any]:
    """The schema: a field for every column, in the output's order."""
    fields = []
    for column in dataset.columns:
        kind: Any = KINDS.get(column.kind, column.kind if column.paths else "string")
        if column.name not in FREE:
            kind = ["null", kind] if column.name != "EVENT_VALUE" else ["float", "null"]
        field: dict[str, Any] = {"name": column.name, "type": kind}
        if dataset.latest and column.kind == "string" and column.paths:
            field["categorical"] = True
        fields.append(field)
    return {
        "type": "record",
        "name": dataset.name.capitalize(),
        "namespace": "com.amazonaws.personalize.schema",
        "fields": fields,
        "version": "1.0",
    }


def text(dataset: Dataset) -> str:
    return json.dumps(avro(dataset), indent=4) + "\n"
