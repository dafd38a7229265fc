"""A campaign hook that leaves out people who have just bought.

The campaign hands over up to 50 endpoints; those that are returned are sent to. When somebody last
bought is their user attribute `last_order_at`, an ISO 8601 time. Variables of the function:
`QUIET_DAYS` (3) is how long a buyer is left alone, `ATTRIBUTE` names another attribute.
"""

import os
from datetime import UTC, datetime, timedelta

ATTRIBUTE = os.environ.get("ATTRIBUTE", "last_order_at")
QUIET = timedelta(days=float(os.environ.get("QUIET_DAYS", "3")))


def handler(event, context):
    now = datetime.now(UTC)
    endpoints = event["Endpoints"]
    kept = {
        endpoint_id: endpoint
        for endpoint_id, endpoint in endpoints.items()
        if not bought_lately(endpoint, now)
    }
    print(f"kept {len(kept)} of {len(endpoints)}")
    return kept


def bought_lately(endpoint, now):
    bought = last_order(endpoint)
    return bought is not None and now - bought < QUIET


def last_order(endpoint):
    """When this person last bought, or None when nobody knows."""
    attributes = endpoint.get("User", {}).get("UserAttributes", {})
    for text in attributes.get(ATTRIBUTE, []):
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
