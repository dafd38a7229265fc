"""The second seed's documents, known by their hash, and the same with a customer's names."""

from __future__ import annotations

import ast
import hashlib
import json
from typing import Any

import pytest

from tailorbird.errors import Invalid
from tailorbird.prepare import SEED, from_dict, glue, policies, schemas


def hash_of(document: Any) -> str:
    text = document if isinstance(document, str) else json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("made", "known"),
    [
        (policies.bucket_policy("bucket-name"), "8cb877111bd8ec9c"),
        (policies.glue_service(), "88b19cf86121b21c"),
        (policies.segment_trust(["YOUR_SEGMENT_SOURCE_ID"]), "28abc27ac12bb373"),
        (policies.full_access(), "eec84b1fb8681a23"),
        (policies.function_policy()["Statement"][0], "959a0ac41f011d0c"),
        (glue.script(SEED.interactions), "c21eb01bc63d94c6"),
    ],
    ids=["bucket", "glue", "trust", "full access", "function", "glue script"],
)
def test_with_the_seeds_names_it_is_the_seeds_text(made: Any, known: str) -> None:
    assert hash_of(made) == known


def test_the_glue_job_of_other_names_is_a_script_with_them() -> None:
    mapping = from_dict({"events": ['It\'s "new"', "Käufe"], "item": ["properties.item_id"]})
    made = glue.script(mapping.interactions)
    ast.parse(made)
    assert """supported_events = ['It\\'s "new"', 'Käufe']""" in made
    assert "'item_id' in dynamicRecord[\"properties\"]" in made
    assert '("properties.item_id", "string", "ITEM_ID", "string")' in made
    assert "sku" not in made


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: policies.bucket_policy("Not A Bucket"), "no name of a bucket"),
        (lambda: policies.invoke([]), "not the ARN of a function"),
        (lambda: policies.invoke(["my-function"]), "'my-function' is not the ARN"),
        (lambda: policies.segment_trust([]), "--external-id is missing"),
    ],
)
def test_names_that_cannot_be_are_refused(make: Any, what: str) -> None:
    with pytest.raises(Invalid, match=what):
        make()


def test_the_usual_mappings_schema_is_the_seeds() -> None:
    assert schemas.avro(from_dict({}).interactions) == {
        "type": "record",
        "name": "Interactions",
        "namespace": "com.amazonaws.personalize.schema",
        "fields": [
            {"name": "USER_ID", "type": "string"},
            {"name": "ITEM_ID", "type": "string"},
            {"name": "EVENT_TYPE", "type": "string"},
            {"name": "TIMESTAMP", "type": "long"},
        ],
        "version": "1.0",
    }
