"""Three weeks of a small shop, sent through Segment's Python SDK: something to train with.

python examples/segment-personalize/history.py http://127.0.0.1:8080 WRITE_KEY
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta

from segment.analytics.client import Client

PEOPLE, PRODUCTS, CALLS_EACH = 60, 30, 25
EVENTS = ("Product Viewed", "Product Viewed", "Product Clicked", "Product Added")


def main(host: str, write_key: str) -> None:
    choose = random.Random(7)
    client = Client(write_key, host=host, max_queue_size=100_000)
    now = datetime.now(UTC)
    for number in range(PEOPLE):
        person = f"person-{number}"
        client.identify(person, {"age": choose.randrange(18, 80), "plan": choose.choice("ab")})
        for call in range(CALLS_EACH):
            # People like every third product, each of three groups its own.
            sku = f"sku-{choose.randrange(PRODUCTS // 3) * 3 + number % 3}"
            moment = now - timedelta(hours=20 * (CALLS_EACH - call))
            product = {"sku": sku, "price": float(len(sku)), "category": f"group {number % 3}"}
            event, properties = choose.choice(EVENTS), product
            if call % 10 == 9:
                event, properties = "Order Completed", {"order_id": "o", "products": [product]}
            client.track(
                person, event, properties, timestamp=moment, anonymous_id=f"anonymous-{number}"
            )
    client.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:3])
