"""Exports, deletions, batch jobs, tags and recommenders as the real boto3 sees them."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import Server, wait_for
from tests.unit.learn.conftest import as_csv, chains, schema_text

from .test_personalize import Shop, code, settled

ROLE = "arn:aws:iam::123456789012:role/PersonalizeRole"
RECIPE = "arn:aws:personalize:::recipe/"


def put(server: Server, key: str, data: bytes) -> str:
    path = server.data / "objects" / "rows" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return f"s3://rows/{key}"


def test_batch_jobs_exports_tags_and_deletions_by_boto3_alone(server: Server):
    shop = Shop(server, "jobs")
    shop.fill()
    assert shop.imported()["status"] == "ACTIVE"
    shop.train()
    assert shop.trained()["status"] == "ACTIVE"
    p = shop.personalize
    p.tag_resource(resourceArn=shop.solution, tags=[{"tagKey": "team", "tagValue": "a"}])
    tags = p.list_tags_for_resource(resourceArn=shop.solution)["tags"]
    assert tags == [{"tagKey": "team", "tagValue": "a"}]
    p.create_filter(
        name="jobs",
        datasetGroupArn=shop.group,
        filterExpression='EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")',
    )
    filter_arn = next(one for one in p.list_filters(datasetGroupArn=shop.group)["Filters"])[
        "filterArn"
    ]
    lines = b'{"userId": "u1"}\n{"userId": "u2"}\n'
    given: dict[str, Any] = {
        "solutionVersionArn": shop.version,
        "jobInput": {"s3DataSource": {"path": put(server, "jobs-in.json", lines)}},
        "jobOutput": {"s3DataDestination": {"path": "s3://rows/batch/"}},
        "roleArn": ROLE,
    }
    plain = p.create_batch_inference_job(jobName="plain", **given)["batchInferenceJobArn"]
    assert done(p, plain)["batchInferenceJobMode"] == "BATCH_INFERENCE"
    seen = output(server)
    filtered = p.create_batch_inference_job(jobName="filtered", filterArn=filter_arn, **given)
    assert done(p, filtered["batchInferenceJobArn"])["filterArn"] == filter_arn
    had = {item for user, item, _, _ in chains() if user == "u1"}
    assert not had & set(output(server)[0]["output"]["recommendedItems"])
    assert [one["input"]["userId"] for one in seen] == ["u1", "u2"]
    export = p.create_dataset_export_job(
        jobName="jobs",
        datasetArn=shop.dataset,
        ingestionMode="BULK",
        roleArn=ROLE,
        jobOutput={"s3DataDestination": {"path": "s3://rows/exports"}},
    )["datasetExportJobArn"]
    settled(lambda: p.describe_dataset_export_job(datasetExportJobArn=export)["datasetExportJob"])
    text = (server.data / "objects/rows/exports/jobs.csv").read_text()
    assert len(text.splitlines()) == len(chains()) + 1
    where = put(server, "gone.csv", b"USER_ID\nu1\n")
    deletion = p.create_data_deletion_job(
        jobName="jobs", datasetGroupArn=shop.group, dataSource={"dataLocation": where}, roleArn=ROLE
    )["dataDeletionJobArn"]

    def deleted() -> dict[str, Any]:
        return p.describe_data_deletion_job(dataDeletionJobArn=deletion)["dataDeletionJob"]

    wait_for(lambda: deleted()["status"] in ("COMPLETED", "FAILED"), 60)
    assert (deleted()["status"], deleted()["numDeleted"]) == ("COMPLETED", 30)
    segment = {k: v for k, v in given.items() if k != "x"}
    assert code(p.create_batch_segment_job, jobName="s", **segment) == "InvalidInputException"
    algorithm = p.describe_algorithm(algorithmArn="arn:aws:personalize:::algorithm/aws-sims")
    assert algorithm["algorithm"]["defaultHyperParameters"]["min_cointeraction_count"] == "3"


def done(p: Any, arn: str) -> dict[str, Any]:
    shown = settled(
        lambda: p.describe_batch_inference_job(batchInferenceJobArn=arn)["batchInferenceJob"]
    )
    assert shown["status"] == "ACTIVE", shown
    return shown


def output(server: Server) -> list[dict[str, Any]]:
    text = (server.data / "objects/rows/batch/jobs-in.json.out").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_recommender_by_boto3_alone(server: Server):
    p, runtime = server.client("personalize"), server.client("personalize-runtime")
    schema = p.create_schema(name="domain", schema=schema_text(), domain="ECOMMERCE")["schemaArn"]
    group = p.create_dataset_group(name="domain", domain="ECOMMERCE")["datasetGroupArn"]
    dataset = p.create_dataset(
        name="domain", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    rows = [(user, item, "View", at) for user, item, _, at in chains()]
    job = p.create_dataset_import_job(
        jobName="domain",
        datasetArn=dataset,
        roleArn=ROLE,
        dataSource={"dataLocation": put(server, "domain.csv", as_csv(rows))},
    )["datasetImportJobArn"]
    settled(lambda: p.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"])
    arn = p.create_recommender(
        name="domain",
        datasetGroupArn=group,
        recipeArn=RECIPE + "aws-ecomm-customers-who-viewed-x-also-viewed",
        recommenderConfig={"minRecommendationRequestsPerSecond": 1},
    )["recommenderArn"]
    shown = settled(lambda: p.describe_recommender(recommenderArn=arn)["recommender"])
    assert shown["status"] == "ACTIVE", shown
    assert shown["modelMetrics"]["precision_at_5"] >= 0
    asked = {"recommenderArn": arn, "itemId": "i5", "userId": "u1", "numResults": 3}
    assert len(runtime.get_recommendations(**asked)["itemList"]) == 3
    p.stop_recommender(recommenderArn=arn)
    assert code(runtime.get_recommendations, **asked) == "ResourceNotFoundException"
    p.start_recommender(recommenderArn=arn)
    assert len(p.list_recommenders(datasetGroupArn=group)["recommenders"]) == 1
    p.delete_recommender(recommenderArn=arn)
