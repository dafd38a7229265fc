"""Both seeds' services in one message: a Personalize campaign fills a Pinpoint template."""

from __future__ import annotations

from tests import aws
from tests.conftest import Server

TRANSFORMER = """
def handler(event, context):
    for endpoint in event["Endpoints"].values():
        endpoint["Recommendations"] = {
            "Names": ["the " + item for item in endpoint["RecommendationItems"]]
        }
    return event["Endpoints"]
"""


def test_a_mail_holds_what_personalize_recommends_in_a_functions_words(server: Server) -> None:
    rows = [f"u{n % 40},i{n % (n % 7 + 1)},View,{1_700_000_000 + n}" for n in range(2_000)]
    s3 = server.client("s3")
    s3.create_bucket(Bucket="recommender")
    body = "\n".join(["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP", *rows]).encode()
    s3.put_object(Bucket="recommender", Key="views.csv", Body=body)
    shop = aws.train(server, "picks", "s3://recommender/views.csv", "aws-popularity-count")
    pinpoint = server.client("pinpoint")
    aws.python_function(server, "words", TRANSFORMER)
    server.client("lambda").add_permission(
        FunctionName="words", StatementId="pinpoint", Action="lambda:InvokeFunction",
        Principal="pinpoint.us-east-1.amazonaws.com",
        SourceArn=f"arn:aws:mobiletargeting:us-east-1:{aws.ACCOUNT}:recommenders/*",
    )  # fmt: skip
    made = pinpoint.create_recommender_configuration(
        CreateRecommenderConfiguration={
            "Name": "picks", "RecommendationProviderUri": shop["campaign"],
            "RecommendationProviderRoleArn": f"arn:aws:iam::{aws.ACCOUNT}:role/pinpoint",
            "RecommendationProviderIdType": "PINPOINT_USER_ID", "RecommendationsPerMessage": 2,
            "RecommendationTransformerUri": "words", "Attributes": {"Names": "Names"},
        }
    )["RecommenderConfigurationResponse"]  # fmt: skip
    pinpoint.create_email_template(
        TemplateName="picks",
        EmailTemplateRequest={
            "Subject": "For you", "RecommenderId": made["Id"],
            "TextPart": "{{Recommendations.Names.[0]}}, {{Recommendations.Names.[1]}}",
        },
    )  # fmt: skip
    app = aws.create_app(server)
    aws.put_people(server, app, ["u1"])
    named = {"EmailTemplate": {"Name": "picks"}}
    campaign = aws.create_campaign(
        server, app, aws.create_segment(server, app), TemplateConfiguration=named
    )
    aws.finished_activity(server, app, campaign)

    asked = server.client("personalize-runtime").get_recommendations(
        campaignArn=shop["campaign"], userId="u1", numResults=2
    )
    first, second = (item["itemId"] for item in asked["itemList"])
    mails = aws.mails(server, app, campaign)
    assert mails == {"u1@example.com": f"the {first}, the {second}"}
    listed = pinpoint.get_recommender_configurations()["ListRecommenderConfigurationsResponse"]
    assert made in listed["Item"]
