"""What the first and last cells of AWS's notebooks for Personalize do, on small data made here."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.conftest import Server, wait_for

REGION, ACCOUNT = "us-east-1", "123456789012"
RECIPE = "arn:aws:personalize:::recipe/"
NAMESPACE = "com.amazonaws.personalize.schema"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "personalize.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
USER_COUNT = 50
CATEGORIES = ("tools", "floral", "books", "food service")
INTERACTIONS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "USER_ID", "type": "string"},
    {"name": "EVENT_TYPE", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"},
    {"name": "DISCOUNT", "type": "string", "categorical": True},
]
ITEMS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "PRICE", "type": "float"},
    {"name": "CATEGORY_L1", "type": "string", "categorical": True},
]
MORE_ITEMS = [
    {"name": "CATEGORY_L2", "type": ["string", "null"], "categorical": True},
    {"name": "PRODUCT_DESCRIPTION", "type": ["string", "null"], "textual": True},
    {"name": "GENDER", "type": ["string", "null"], "categorical": True},
    {"name": "PROMOTED", "type": ["string", "null"]},
]
USERS = [
    {"name": "USER_ID", "type": "string"},
    {"name": "AGE", "type": "int"},
    {"name": "GENDER", "type": "string", "categorical": True},
]


def schema(name: str, fields: list[dict[str, Any]], version: str = "1.0") -> str:
    record = {"type": "record", "name": name, "namespace": NAMESPACE, "fields": fields}
    return json.dumps(record | {"version": version})


def visits(seed: int = 7) -> Iterator[tuple[str, str, str, int, str]]:
    """Item, user, type, time, discount: two categories a person, walked through in order."""
    randomly, at = random.Random(seed), 1_690_552_936
    for user in range(USER_COUNT):
        place = randomly.randrange(40)
        for step in range(22):
            at += 7
            kind = "Purchase" if step % 8 == 7 else "View"
            discount = "Yes" if user % 2 else "No"
            yield f"item-{(place + step) % 40}", str(user), kind, at, discount


def interactions_csv() -> str:
    lines = [",".join(map(str, row)) for row in visits()]
    return "ITEM_ID,USER_ID,EVENT_TYPE,TIMESTAMP,DISCOUNT\n" + "\n".join(lines) + "\n"


def items_csv(prefix: str = "", wide: bool = False) -> str:
    head = "ITEM_ID,PRICE,CATEGORY_L1" + (
        ",CATEGORY_L2,PRODUCT_DESCRIPTION,GENDER,PROMOTED" if wide else ""
    )
    lines = []
    for n in range(40):
        category = CATEGORIES[n // 10]
        more = f",kind-{n % 3},A {category} thing for every day,F,N" if wide else ""
        lines.append(f"{prefix}item-{n},{10 + n}.99,{category}{more}")
    return head + "\n" + "\n".join(lines) + "\n"


def users_csv() -> str:
    return "USER_ID,AGE,GENDER\n" + "".join(
        f"{n},{20 + n},{'MF'[n % 2]}\n" for n in range(USER_COUNT)
    )


class Notebook:
    """A notebook's clients and the things its first cells make: bucket, bucket policy, role."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.token = uuid.uuid4().hex[:5]
        self.personalize = server.client("personalize")
        self.runtime = server.client("personalize-runtime")
        self.events = server.client("personalize-events")
        self.s3, self.iam = server.client("s3"), server.client("iam")
        self.folder = folder
        self.bucket = f"personalize-notebook-{self.token}"
        self.s3.create_bucket(Bucket=self.bucket)
        place = [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]
        allowed = {
            "Sid": "PersonalizeS3BucketAccessPolicy",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
            "Resource": place,
        }
        for_service = allowed | {"Principal": {"Service": "personalize.amazonaws.com"}}
        policy = {"Version": "2012-10-17", "Id": "Access", "Statement": [for_service]}
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))
        self.role_name = f"PersonalizeRole-{self.token}"
        self.role = self.iam.create_role(
            RoleName=self.role_name, AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        policy = {"Version": "2012-10-17", "Id": "Access", "Statement": [allowed]}
        made = self.iam.create_policy(
            PolicyName=f"PersonalizePolicy-{self.token}",
            PolicyDocument=json.dumps(policy),
            Description="Policy to allow Personalize access to our S3 bucket",
        )["Policy"]
        self.policy = made["Arn"]
        assert made["DefaultVersionId"] == "v1"
        self.iam.attach_role_policy(RoleName=self.role_name, PolicyArn=self.policy)

    def name(self, what: str) -> str:
        return f"{what}-{self.token}"

    def upload(self, key: str, text: str) -> str:
        file = self.folder / "upload"
        file.write_text(text)
        self.s3.upload_file(str(file), self.bucket, key)
        assert key in [one["Key"] for one in self.s3.list_objects(Bucket=self.bucket)["Contents"]]
        return f"s3://{self.bucket}/{key}"

    def download(self, key: str) -> list[dict[str, Any]]:
        file = self.folder / "download"
        self.s3.download_file(self.bucket, key, str(file))
        return [json.loads(line) for line in file.read_text().splitlines()]

    def active(self, kind: str, arn: str) -> dict[str, Any]:
        """What the notebooks' polling cells end with."""
        snake = "".join("_" + c.lower() if c.isupper() else c for c in kind)
        describe = getattr(self.personalize, f"describe_{snake}")

        def look() -> dict[str, Any] | None:
            shown = describe(**{f"{kind}Arn": arn})[kind]
            assert shown["status"] != "CREATE FAILED", shown
            return shown if shown["status"] == "ACTIVE" else None

        return dict(wait_for(look, 90, 0.1))

    def group(self, domain: str | None = "ECOMMERCE") -> str:
        more = {"domain": domain} if domain else {}
        made = self.personalize.create_dataset_group(name=self.name("DSG"), **more)
        assert made.get("domain") == domain
        self.group_arn = made["datasetGroupArn"]
        self.domain = more
        return str(self.active("datasetGroup", self.group_arn)["datasetGroupArn"])

    def dataset(self, kind: str, fields: list[dict[str, Any]]) -> str:
        made = self.personalize.create_schema(
            name=self.name(f"{kind}-schema"), schema=schema(kind, fields), **self.domain
        )
        arn = self.personalize.create_dataset(
            name=self.name(f"{kind}-ds"),
            datasetType=kind.upper(),
            datasetGroupArn=self.group_arn,
            schemaArn=made["schemaArn"],
        )["datasetArn"]
        return str(self.active("dataset", arn)["datasetArn"])

    def imported(self, dataset: str, location: str, **more: Any) -> dict[str, Any]:
        job = self.personalize.create_dataset_import_job(
            jobName="import-" + uuid.uuid4().hex[:8],
            datasetArn=dataset,
            dataSource={"dataLocation": location},
            roleArn=self.role,
            **more,
        )["datasetImportJobArn"]
        return self.active("datasetImportJob", job)

    def shop(self) -> tuple[str, str, str]:
        """Chapters 1 to 3 of the retail notebooks; the three datasets."""
        self.group()
        users = self.dataset("Users", USERS)
        items = self.dataset("Items", ITEMS)
        interactions = self.dataset("Interactions", INTERACTIONS)
        self.imported(users, self.upload("users.csv", users_csv()))
        self.imported(items, self.upload("items_basic.csv", items_csv()))
        self.imported(interactions, self.upload("interactions.csv", interactions_csv()))
        return users, items, interactions

    def trained(self, recipe: str, name: str, **more: Any) -> tuple[str, str]:
        solution = self.personalize.create_solution(
            name=self.name(name),
            datasetGroupArn=self.group_arn,
            recipeArn=RECIPE + recipe,
            **more,
        )["solutionArn"]
        return solution, self.version(solution)

    def version(self, solution: str, **more: Any) -> str:
        arn = self.personalize.create_solution_version(solutionArn=solution, **more)
        shown = self.active("solutionVersion", arn["solutionVersionArn"])
        assert shown["trainingHours"] >= 0
        return str(shown["solutionVersionArn"])

    def campaign(self, version: str, name: str, **more: Any) -> str:
        arn = self.personalize.create_campaign(
            name=self.name(name), solutionVersionArn=version, minProvisionedTPS=1, **more
        )["campaignArn"]
        return str(self.active("campaign", arn)["campaignArn"])

    def recommender(self, recipe: str) -> str:
        arn = self.personalize.create_recommender(
            name=self.name(recipe[10:]), datasetGroupArn=self.group_arn, recipeArn=RECIPE + recipe
        )["recommenderArn"]
        return str(self.active("recommender", arn)["recommenderArn"])

    def filter(self, name: str, expression: str) -> str:
        arn = self.personalize.create_filter(
            name=self.name(name), datasetGroupArn=self.group_arn, filterExpression=expression
        )["filterArn"]
        return str(self.active("filter", arn)["filterArn"])

    def batch(self, version: str, source: str, out: str, count: int | None) -> None:
        made = self.personalize.create_batch_inference_job(
            solutionVersionArn=version,
            jobName="job-" + uuid.uuid4().hex[:8],
            roleArn=self.role,
            jobInput={"s3DataSource": {"path": source}},
            jobOutput={"s3DataDestination": {"path": f"s3://{self.bucket}/{out}"}},
            **({"numResults": count} if count else {}),
        )
        json.dumps(made, default=str)
        self.active("batchInferenceJob", made["batchInferenceJobArn"])

    def ask(self, **asked: Any) -> list[str]:
        return [one["itemId"] for one in self.runtime.get_recommendations(**asked)["itemList"]]

    def clean_up(self) -> None:
        """First bucket and role, then what delete_dataset_groups.py deletes, in its order."""
        for one in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ()):
            self.s3.delete_object(Bucket=self.bucket, Key=one["Key"])
        self.s3.delete_bucket(Bucket=self.bucket)
        self.iam.detach_role_policy(RoleName=self.role_name, PolicyArn=self.policy)
        self.iam.delete_role(RoleName=self.role_name)
        self.iam.delete_policy(PolicyArn=self.policy)
        assert self.role_name not in [one["RoleName"] for one in self.iam.list_roles()["Roles"]]
        assert self.policy not in [one["Arn"] for one in self.iam.list_policies()["Policies"]]
        p, group = self.personalize, self.group_arn
        for one in p.list_recommenders(datasetGroupArn=group, maxResults=100)["recommenders"]:
            p.delete_recommender(recommenderArn=one["recommenderArn"])
            gone(p.describe_recommender, recommenderArn=one["recommenderArn"])
        solutions = self.listed("solutions", datasetGroupArn=group)
        for solution in solutions:
            for one in self.listed("campaigns", solutionArn=solution["solutionArn"]):
                p.delete_campaign(campaignArn=one["campaignArn"])
                gone(p.describe_campaign, campaignArn=one["campaignArn"])
            p.delete_solution(solutionArn=solution["solutionArn"])
            gone(p.describe_solution, solutionArn=solution["solutionArn"])
        for one in self.listed("event_trackers", datasetGroupArn=group):
            assert one["status"] == "ACTIVE"
            p.delete_event_tracker(eventTrackerArn=one["eventTrackerArn"])
            gone(p.describe_event_tracker, eventTrackerArn=one["eventTrackerArn"])
        for one in p.list_filters(datasetGroupArn=group, maxResults=100)["Filters"]:
            p.delete_filter(filterArn=one["filterArn"])
            gone(p.describe_filter, filterArn=one["filterArn"])
        for one in self.listed("datasets", datasetGroupArn=group):
            schema_arn = p.describe_dataset(datasetArn=one["datasetArn"])["dataset"]["schemaArn"]
            p.delete_dataset(datasetArn=one["datasetArn"])
            gone(p.describe_dataset, datasetArn=one["datasetArn"])
            p.delete_schema(schemaArn=schema_arn)
        p.delete_dataset_group(datasetGroupArn=group)
        if not code(p.describe_dataset_group, datasetGroupArn=group):
            shown = p.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
            assert shown["status"].startswith("DELETE")

    def listed(self, what: str, **of: Any) -> list[dict[str, Any]]:
        pages = self.personalize.get_paginator(f"list_{what}").paginate(**of)
        key = "eventTrackers" if what == "event_trackers" else what
        return [one for page in pages for one in page[key]]


def code(call: Any, **request: Any) -> str:
    """The error code of a call, empty when it is answered."""
    try:
        call(**request)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def gone(describe: Any, **request: Any) -> None:
    assert code(describe, **request) == "ResourceNotFoundException"
