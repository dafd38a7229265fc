"""The mappings that every engine is tested with."""

from typing import Any

GIVEN: dict[str, dict[str, Any]] = {
    "default": {},
    "seed": {"mode": "seed"},
    "flat": {"item_keys": ["sku"], "products": False},
    "distinct": {"duplicates": "drop"},
    "rich": {
        "events": {"Order Completed": "purchase", "Product Added": "add"},
        "user": ["userId", "anonymousId"],
        "item": [
            "properties.sku",
            "properties.products[].sku",
            "properties.id",
            "properties.products[].product_id",
        ],
        "value": ["properties.products[].price", "properties.price"],
        "columns": {
            "PRICE": {"path": "properties.price", "type": "double"},
            "TEXT": {"path": ["properties.text", "context.page.title"]},
            "N": {"path": "properties.n", "type": "int"},
            "B": {"path": "properties.b", "type": "boolean"},
            "ENTRY": {"path": "properties.products[].n"},
            "DOTTED": {"path": 'properties."a.sku"'},
            "ANONYMOUS_ID": {},
            "TIMESTAMP_ISO": {},
        },
    },
    "users": {
        "users": {
            "columns": {
                "AGE": {"path": "traits.age", "type": "int"},
                "PLAN": "traits.plan",
                "SCORE": {"path": "traits.score", "type": "float"},
                "MEMBER": {"path": "traits.member", "type": "boolean"},
                "CITY": ["traits.city", "traits.address.city"],
                "ODD": 'traits."odd.name"',
            }
        }
    },
    "items": {
        "items": {
            "columns": {
                "PRICE": {
                    "path": ["properties.products[].price", "properties.price"],
                    "type": "float",
                },
                "TEXT": "properties.text",
            }
        }
    },
}


def dataset_name(name: str) -> str:
    return name if name in ("users", "items") else "interactions"
