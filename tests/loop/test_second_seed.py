"""The second seed: collected calls train a campaign, live calls get recommendations back."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from segment.analytics.client import Client

from tests import aws, segment
from tests.conftest import Server, wait_for

EVENTS = ("Product Clicked", "Product Added", "Order Completed")
PEOPLE, PRODUCTS, CALLS_EACH = 60, 30, 25
DESTINATION = aws.EXAMPLES / "segment-personalize"


@pytest.fixture
def server(any_server: Server) -> Server:
    return any_server


def test_the_loop_from_collected_calls_to_recommendations_on_a_persons_endpoint(
    server: Server,
) -> None:
    sent = send_history(server)
    source = segment.api(server, "GET", "/segmentapis/sources")["data"]["sources"][0]
    report = segment.tailorbird(
        server, "prepare", source["id"], "s3://personalize-data/transformed/interactions.csv"
    )
    assert report["rows"] == sent
    trained = aws.train(server, "segment", "s3://personalize-data/transformed/interactions.csv")
    metrics = server.client("personalize").get_solution_metrics(
        solutionVersionArn=trained["version"]
    )["metrics"]
    assert metrics["coverage"] > 0

    application_id = aws.create_app(server)
    connect_pinpoint(server, source["id"], application_id)
    function = create_destination_function(server, trained, source)
    role = segment.create_role(server, function, external_id=source["id"])
    connect_lambda(server, source["id"], function, role)

    sku = "sku-3"
    client = Client(server.write_key, host=server.url)
    client.identify("person-1", {"email": "person-1@example.com", "name": "Ann"})
    client.track("person-1", "Product Added", {"sku": sku}, anonymous_id="anonymous-1")
    client.shutdown()

    def recommended() -> list[str] | None:
        endpoints = server.client("pinpoint").get_user_endpoints(
            ApplicationId=application_id, UserId="person-1"
        )["EndpointsResponse"]["Item"]
        return endpoints[0]["User"]["UserAttributes"].get("recommended_products")

    products = wait_for(lambda: quietly(recommended), 60)
    known = {f"sku-{n}" for n in range(PRODUCTS)}
    assert products
    assert set(products) <= known


def test_a_role_that_does_not_trust_the_source_delivers_nothing_and_says_so(
    server: Server,
) -> None:
    source = segment.api(server, "GET", "/segmentapis/sources")["data"]["sources"][0]
    function = aws.python_function(server, "listener", "def handler(e, c): return None")
    role = segment.create_role(server, function, external_id="somebody-else")
    destination = connect_lambda(server, source["id"], function, role)
    client = Client(server.write_key, host=server.url)
    client.track("person-1", "Product Added", {"sku": "sku-1"})
    client.shutdown()

    def failed() -> dict[str, Any] | None:
        path = f"/segmentapis/destinations/{destination}/delivery-metrics"
        seen = segment.api(server, "GET", path)["data"]
        return seen if "Accessdenied" in json.dumps(seen) else None

    assert wait_for(failed, 30)


def send_history(server: Server) -> int:
    """Weeks of calls through the official SDK; how many interactions are in them."""
    choose = random.Random(7)
    client = Client(server.write_key, host=server.url, max_queue_size=100_000)
    sent = 0
    for person in range(PEOPLE):
        user, taste = f"person-{person}", person % 3
        for _ in range(CALLS_EACH):
            sku = f"sku-{choose.randrange(PRODUCTS // 3) * 3 + taste}"
            event = choose.choice(EVENTS)
            properties: dict[str, Any] = {"sku": sku}
            if event == "Order Completed":
                properties = {"order_id": "o", "products": [{"sku": sku}, {"sku": "sku-0"}]}
                sent += 1
            client.track(user, event, properties, anonymous_id=f"anonymous-{person}")
            sent += 1
        client.track(user, "Cart Viewed", {"cart_id": "c"})
    client.shutdown()
    return sent


def create_destination_function(
    server: Server, trained: dict[str, Any], source: dict[str, Any]
) -> str:
    """Our version of the seed's function, told where to send by its environment."""
    variables = {
        "personalize_tracking_id": trained["tracking_id"],
        "personalize_campaign_arn": trained["campaign"],
        "connections_source_write_key": server.write_key,
        "connections_source_api_key": server.write_key,
    }
    return aws.create_function(
        server,
        "segment-personalize",
        aws.zipped_folder(DESTINATION),
        "app.lambda_handler",
        Role=segment.create_execution_role(server),
        Environment={"Variables": variables},
    )


def connect_lambda(server: Server, source_id: str, function: str, role: str) -> str:
    settings = {
        "function": function,
        "roleAddress": role,
        "region": "us-east-1",
        "externalId": source_id,
        "logType": "Tail",
        "events": list(EVENTS),
    }
    return segment.connect(server, source_id, "Amazon Personalize", settings)


def connect_pinpoint(server: Server, source_id: str, application_id: str) -> str:
    return segment.connect(server, source_id, "Amazon Pinpoint", {"applicationId": application_id})


def quietly(look: Any) -> Any:
    """None while the thing is not there yet."""
    from botocore.exceptions import ClientError

    try:
        return look()
    except ClientError:
        return None
