"""A Segment destination function: each track call updates a Personalize model at once, and the new
recommendations go back to Segment as a trait of the person.

Environment: personalize_tracking_id, personalize_campaign_arn, and the write key of the source that
takes the identify calls: connections_source_write_key (the document also says
connections_source_api_key). Segment is at connections_source_host, else at the Tailorbird server
that the function runs on, else at api.segment.io.
"""

import base64
import json
import os
import urllib.error
import urllib.request
from datetime import UTC, datetime
from functools import cache

import boto3

VARIABLES = os.environ  # with the names that the document gives them
RESULTS = 25
TIMEOUT_SECONDS = 3
ITEM_KEYS = ("sku", "product_id", "id")


def lambda_handler(event, context):
    """Segment's call in; what was recommended out (for who tests it: Segment ignores it)."""
    if event.get("type") != "track":
        return {"skipped": f"{event.get('type')} calls are not for Personalize"}
    if not event.get("userId"):
        return {"skipped": "the call has no userId"}
    items = items_of(event.get("properties") or {})
    if not items:
        return {"skipped": f"{event.get('event')} names no product"}
    put_events(event, items)
    recommended = recommend(event["userId"])
    identify(event["userId"], {"recommended_products": recommended})
    return {"recommended_products": recommended}


def items_of(properties):
    """The products of a call: those of an order, or the one it is about."""
    products = properties.get("products")
    candidates = products if isinstance(products, list) and products else [properties]
    return [item for item in map(item_of, candidates) if item]


def item_of(product):
    if not isinstance(product, dict):
        return None
    return next((str(product[key]) for key in ITEM_KEYS if product.get(key)), None)


def put_events(event, items):
    client("personalize-events").put_events(
        trackingId=VARIABLES["personalize_tracking_id"],
        userId=event["userId"],
        sessionId=event.get("anonymousId") or event["userId"],
        eventList=[
            {
                "eventId": event["messageId"] if n == 0 else f"{event['messageId']}-{n}",
                "sentAt": sent_at(event),
                "eventType": event["event"],
                "properties": json.dumps({"itemId": item}),
            }
            for n, item in enumerate(items[:10])  # PutEvents takes ten
        ],
    )


def recommend(user_id):
    answer = client("personalize-runtime").get_recommendations(
        campaignArn=VARIABLES["personalize_campaign_arn"], userId=user_id, numResults=RESULTS
    )
    return [item["itemId"] for item in answer["itemList"]]


def identify(user_id, traits):
    """Send the traits back to Segment; an answer other than 200 fails the invocation."""
    body = {"type": "identify", "userId": user_id, "traits": traits}
    request = urllib.request.Request(
        f"{segment_host()}/v1/identify",
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": "Basic " + base64.b64encode(f"{write_key()}:".encode()).decode(),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        raise RuntimeError(f"identify answered {error.code}: {said}") from None


def sent_at(event):
    moment = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def segment_host():
    host = VARIABLES.get("connections_source_host") or VARIABLES.get("TAILORBIRD_URL")
    return (host or "https://api.segment.io").rstrip("/")


def write_key():
    return VARIABLES.get("connections_source_write_key") or VARIABLES["connections_source_api_key"]


@cache
def client(service):
    """One client for the life of the function: making one costs more than the call."""
    return boto3.client(service)
