"""Import and export jobs: what files hold becomes endpoints and segments, and comes back whole."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailorbird.engage import (
    Engage,
    apps,
    audience,
    campaigns,
    endpoints,
    explain,
    export_jobs,
    import_jobs,
    ledger,
    segments,
    transfers,
    users,
)
from tailorbird.errors import Invalid, LimitExceeded
from tailorbird.store import Jobs, Worker
from tests.unit.engage.conftest import CALLER, get, put, wait_for
from tests.unit.engage.test_campaign_run import campaign, ended

ROLE = "arn:aws:iam::123456789012:role/pinpoint"
CSV = (
    "ChannelType,Id,Address,Attributes.Likes,Attributes.Likes,Metrics.age,User.UserId,"
    "User.UserAttributes.Name,Location.Country,Location.Latitude,Demographic.Timezone,OptOut,"
    "EffectiveDate,RequestId\n"
    "EMAIL,ana,ana@example.com,tea,cake,41.5,u1,Ana,NL,52.16,Europe/Amsterdam,NONE,"
    "2026-01-02T03:04:05Z,r-1\n"
    'SMS,,+31612345678,"a, ""b""",,,u2,Ben,,,,,,\n'
)


def import_from(room: Engage, app_id: str, files: dict[str, str | bytes], **wanted: Any) -> Any:
    """A finished import of some files under one prefix."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        room.objects.put(f"s3://bucket/in/{name}", data)
    request = {"Format": "CSV", "RoleArn": ROLE, "S3Url": "s3://bucket/in/", **wanted}
    made = import_jobs.create_import_job(
        room, CALLER, {"ApplicationId": app_id, "ImportJobRequest": request}
    )["ImportJobResponse"]
    return finished(room, app_id, made["Id"])


def finished(room: Engage, app_id: str, job_id: str) -> Any:
    def look() -> Any:
        request = {"ApplicationId": app_id, "JobId": job_id}
        shown = import_jobs.get_import_job(room, CALLER, request)["ImportJobResponse"]
        return shown if shown["JobStatus"] in ("COMPLETED", "FAILED") else None

    return wait_for(look)


def export_to(room: Engage, app_id: str, **wanted: Any) -> list[dict[str, Any]]:
    """The endpoints of a finished export."""
    request = {"S3UrlPrefix": "s3://out/all", "RoleArn": ROLE, **wanted}
    made = export_jobs.create_export_job(
        room, CALLER, {"ApplicationId": app_id, "ExportJobRequest": request}
    )["ExportJobResponse"]

    def look() -> Any:
        asked = {"ApplicationId": app_id, "JobId": made["Id"]}
        shown = export_jobs.get_export_job(room, CALLER, asked)["ExportJobResponse"]
        assert shown["JobStatus"] != "FAILED", shown
        return shown["JobStatus"] == "COMPLETED"

    wait_for(look)
    files = [info.uri for info in room.objects.list("s3://out/all/") if made["Id"] in info.uri]
    lines = [line for uri in files for line in gzip.decompress(room.objects.get(uri)).splitlines()]
    return [orjson.loads(line) for line in lines]


def members(room: Engage, app_id: str, segment_id: str) -> int:
    with room.db.read() as conn:
        app = apps.by_id(conn, app_id)
        return audience.count(room, app, segments.find(conn, app, segment_id))


def app(room: Engage) -> str:
    wanted = {"CreateApplicationRequest": {"Name": "other"}}
    return str(apps.create_app(room, CALLER, wanted)["ApplicationResponse"]["Id"])


def test_csv_becomes_endpoints_with_all_their_parts(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    done = import_from(engage, app_id, {"people.csv": CSV}, RegisterEndpoints=True)
    assert (done["JobStatus"], done["TotalProcessed"], done["TotalFailures"]) == ("COMPLETED", 2, 0)
    assert (done["TotalPieces"], done["CompletedPieces"], done["FailedPieces"]) == (1, 1, 0)
    assert done["Type"] == "IMPORT" and done["CompletionDate"] >= done["CreationDate"]
    ana = get(engage, app_id, "ana")
    assert {k: ana[k] for k in ("Attributes", "Metrics", "User", "Location", "EffectiveDate")} == {
        "Attributes": {"Likes": ["tea", "cake"]},
        "Metrics": {"age": 41.5},
        "User": {"UserId": "u1", "UserAttributes": {"Name": ["Ana"]}},
        "Location": {"Country": "NL", "Latitude": 52.2},
        "EffectiveDate": "2026-01-02T03:04:05.000Z",
    }
    asked = {"ApplicationId": app_id, "UserId": "u2"}
    [ben] = users.get_user_endpoints(engage, CALLER, asked)["EndpointsResponse"]["Item"]
    assert (ben["Address"], ben["Attributes"]) == ("+31612345678", {"Likes": ['a, "b"']})


def test_a_row_without_id_is_the_endpoint_of_its_address_and_twice_is_once(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    put(engage, app_id, {"Id": "known", "Address": "ana@example.com"})
    file = "ChannelType,Address,Attributes.x\nEMAIL,ana@example.com,1\nEMAIL,new@example.com,2\n"
    for _ in range(2):
        import_from(engage, app_id, {"a.csv": file})
    assert get(engage, app_id, "known")["Attributes"] == {"x": ["1"]}
    assert len(export_to(engage, app_id)) == 2


def test_a_prefix_takes_files_of_its_format_gzipped_or_not(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    line = orjson.dumps({"Id": "j1", "ChannelType": "EMAIL", "Address": "j1@example.com"})
    other = orjson.dumps({"Id": "j2", "ChannelType": "EMAIL", "Address": "j2@example.com"})
    done = import_from(
        engage, app_id,
        {"a/1.json": line, "a/2.json.gz": gzip.compress(other), "a/3.gz": gzip.compress(other),
         "b.csv": CSV, "_SUCCESS": b"x"},
        Format="JSON",
    )  # fmt: skip
    assert (done["TotalPieces"], done["TotalProcessed"], done["TotalFailures"]) == (3, 3, 0)
    assert [one["Id"] for one in export_to(engage, app_id)] == ["j1", "j2"]


def test_a_segment_is_there_at_once_and_a_campaign_waits_for_its_list(
    engage: Engage, jobs: Jobs, app_id: str
) -> None:
    engage.objects.put("s3://bucket/in/p.csv", CSV.encode())
    wanted = {"Format": "CSV", "RoleArn": ROLE, "S3Url": "s3://bucket/in/p.csv",
              "DefineSegment": True, "SegmentName": "from file"}  # fmt: skip
    made = import_jobs.create_import_job(
        engage, CALLER, {"ApplicationId": app_id, "ImportJobRequest": wanted}
    )["ImportJobResponse"]
    segment_id = made["Definition"]["SegmentId"]
    assert (made["JobStatus"], made["Definition"]["ExternalId"]) == ("CREATED", CALLER.account)
    asked = {"ApplicationId": app_id, "SegmentId": segment_id}
    assert segments.get_segment(engage, CALLER, asked)["SegmentResponse"]["SegmentType"] == "IMPORT"
    request = {
        "Name": "news", "SegmentId": segment_id, "Schedule": {"StartTime": "IMMEDIATE"},
        "MessageConfiguration": {"EmailMessage": {"Title": "Hi", "Body": "Hi"}},
    }  # fmt: skip
    campaign = campaigns.create_campaign(
        engage, CALLER, {"ApplicationId": app_id, "WriteCampaignRequest": request}
    )["CampaignResponse"]
    from tailorbird.engage import job_kinds

    started = Worker(jobs, job_kinds(engage), threads=2)
    started.start()
    try:
        finished(engage, app_id, made["Id"])

        def ends() -> Any:
            engage.clock.advance(1)  # type: ignore[attr-defined]
            return [
                row["endpoint_id"]
                for activity in ledger.activities_of(engage, campaign["Id"])
                for row in ledger.of_activity(engage, activity, "sent")
            ]

        assert wait_for(ends) == ["ana"]
    finally:
        started.stop()
    shown = segments.get_segment(engage, CALLER, asked)["SegmentResponse"]
    assert shown["ImportDefinition"] == {
        "ExternalId": CALLER.account, "Format": "CSV", "RoleArn": ROLE, "Size": 2,
        "S3Url": "s3://bucket/in/p.csv", "ChannelCounts": {"EMAIL": 1, "SMS": 1},
    }  # fmt: skip
    assert shown["Name"] == "from file"
    listed = import_jobs.get_import_jobs(engage, CALLER, asked)["ImportJobsResponse"]["Item"]
    assert [job["Id"] for job in listed] == [made["Id"]]


def test_a_new_version_of_a_list_and_a_segment_built_on_it(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    put(engage, app_id, *({"Id": f"e{n}", "Attributes": {"n": [str(n)]}} for n in range(4)))
    first = import_from(
        engage, app_id, {"1.csv": "Id\ne0\ne1\ne2\n"}, DefineSegment=True, RegisterEndpoints=False
    )
    segment_id = first["Definition"]["SegmentId"]
    groups = {
        "Include": "ALL",
        "Groups": [{"SourceSegments": [{"Id": segment_id}], "SourceType": "ANY", "Type": "ALL",
                    "Dimensions": [{"Attributes": {"n": {"Values": ["1", "3"]}}}]}],
    }  # fmt: skip
    request = {"ApplicationId": app_id, "WriteSegmentRequest": {"SegmentGroups": groups}}
    built = segments.create_segment(engage, CALLER, request)["SegmentResponse"]["Id"]
    assert (members(engage, app_id, segment_id), members(engage, app_id, built)) == (3, 1)
    engage.objects.delete("s3://bucket/in/1.csv")
    import_from(engage, app_id, {"2.csv": "Id\ne3\n"}, SegmentId=segment_id)
    assert (members(engage, app_id, segment_id), members(engage, app_id, built)) == (1, 1)
    asked = {"ApplicationId": app_id, "SegmentId": segment_id, "Version": "1"}
    old = segments.get_segment_version(engage, CALLER, asked)["SegmentResponse"]
    assert old["ImportDefinition"]["Size"] == 3
    told = explain.explain(engage, app_id, segment_id, endpoint_id="e3")
    assert told["is_member"] is True
    asked |= {"WriteSegmentRequest": {"Dimensions": {"Attributes": {}}, "Name": "x"}}
    segments.update_segment(engage, CALLER, {**asked, "WriteSegmentRequest": {"Name": "renamed"}})
    assert members(engage, app_id, segment_id) == 1
    asked["WriteSegmentRequest"] = {"Dimensions": {"Attributes": {"n": {"Values": ["1"]}}}}
    with pytest.raises(Invalid, match="was imported"):
        segments.update_segment(engage, CALLER, asked)


def test_user_ids_mean_the_endpoints_those_people_have_then(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    done = import_from(engage, app_id, {"u.csv": "User.UserId\nu1 u2\nu3\n"}, DefineSegment=True)
    segment_id = done["Definition"]["SegmentId"]
    assert members(engage, app_id, segment_id) == 0
    put(engage, app_id, *({"Id": f"{u}-{n}", "User": {"UserId": u}} for u in ("u1", "u3", "u9")
                          for n in range(2)))  # fmt: skip
    assert members(engage, app_id, segment_id) == 4
    made = campaign(engage, app_id, SegmentId=segment_id)
    assert ended(engage, made)["ExecutionMetrics"] == {
        "ENDPOINT_PRODUCED": "4", "ENDPOINTS_FROM_USER": "4", "ENDPOINT_SENT": "4",
    }  # fmt: skip


BAD = (
    "Id,ChannelType,Address,Attributes.x,Metrics.m\n"
    "ok1,EMAIL,ok1@example.com,1,2\n"
    "fax,FAX,1,,\n"
    ",,nobody@example.com,,\n"
    "new-without-address,EMAIL,,,\n"
    "m,EMAIL,m@example.com,,many\n"
    f"long,EMAIL,l@example.com,{'x' * 101},\n"
    "a{b,EMAIL,ab@example.com,,\n"
    "cells,EMAIL,c@example.com,1,2,3\n"
    "ok2,EMAIL,ok2@example.com,,\n"
)


def test_every_refused_row_is_kept_with_its_reason_and_the_others_are_taken(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    done = import_from(
        engage, app_id, {"bad.csv": BAD, "latin.csv": b"Id\n\xe9\n", "x.csv": "Ad\n1\n"}
    )
    assert (done["JobStatus"], done["TotalProcessed"], done["FailedPieces"]) == ("COMPLETED", 9, 2)
    assert done["TotalFailures"] == 9 and len(done["Failures"]) == 9
    assert [one["Id"] for one in export_to(engage, app_id)] == ["ok1", "ok2"]
    kept = transfers.failures(engage, done["Id"])
    assert [(one["row"], one["reason"].split("; ")[0]) for one in kept] == [
        (2, "Endpoint fax: ChannelType is 'FAX'"),
        (3, "It has neither Id nor ChannelType with Address: nobody to write"),
        (4, "Endpoint new-without-address is new"),
        (5, "Metrics.m is 'many', not a number"),
        (6, "Endpoint long: Attributes 'x' has a value of 101 characters"),
        (7, "Endpoint id 'a{b': a text without $, { and } is right"),
        (8, "It has 6 cells"),
        (0, "It is not UTF-8: invalid continuation byte"),
        (0, "There is no column 'Ad'"),
    ]
    assert kept[0]["text"] == "fax,FAX,1,," and kept[0]["file"] == "s3://bucket/in/bad.csv"
    assert done["Failures"][0].startswith("s3://bucket/in/bad.csv row 2: Endpoint fax")


def test_an_import_of_which_nothing_could_be_taken_has_failed(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    done = import_from(engage, app_id, {"bad.json": "[1]\nnonsense\n"}, Format="JSON")
    assert (done["JobStatus"], done["TotalFailures"]) == ("FAILED", 2)
    assert "one endpoint a line" in done["Failures"][0]
    empty = import_from(engage, app_id, {}, S3Url="s3://bucket/nowhere/")
    assert (empty["JobStatus"], empty["Failures"]) == (
        "FAILED", ["S3Url: there is nothing to import at s3://bucket/nowhere/"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"S3Url": "http://x/y"}, "s3://bucket/key is right"),
        ({"RoleArn": "nobody"}, "RoleArn 'nobody' is not arn:aws:iam"),
        ({"RegisterEndpoints": False}, "both false"),
    ],
)
def test_an_import_that_cannot_be_is_refused(
    engage: Engage, app_id: str, wanted: dict[str, Any], words: str
) -> None:
    request = {"Format": "CSV", "RoleArn": ROLE, "S3Url": "s3://bucket/in/", **wanted}
    with pytest.raises(Invalid, match=words):
        import_jobs.create_import_job(
            engage, CALLER, {"ApplicationId": app_id, "ImportJobRequest": request}
        )


def test_ten_jobs_are_active_at_most(engage: Engage, app_id: str) -> None:
    request = {"S3UrlPrefix": "s3://out/all", "RoleArn": ROLE}
    asked = {"ApplicationId": app_id, "ExportJobRequest": request}
    for _ in range(10):
        export_jobs.create_export_job(engage, CALLER, asked)
    with pytest.raises(LimitExceeded, match="engage_max_active_transfers"):
        export_jobs.create_export_job(engage, CALLER, asked)


def test_an_export_of_a_segment_has_its_members_only(
    engage: Engage, worker: Worker, app_id: str
) -> None:
    put(engage, app_id, {"Id": "a", "Attributes": {"x": ["1"]}}, {"Id": "b"})
    dimensions = {"Attributes": {"x": {"Values": ["1"]}}}
    request = {"ApplicationId": app_id, "WriteSegmentRequest": {"Dimensions": dimensions}}
    segment_id = segments.create_segment(engage, CALLER, request)["SegmentResponse"]["Id"]
    [found] = export_to(engage, app_id, SegmentId=segment_id, SegmentVersion=1)
    assert found == get(engage, app_id, "a")


TEXT = st.text(st.characters(exclude_characters="\0${}", exclude_categories=["Cs"]), max_size=30)
NAME = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)
LISTS = st.dictionaries(NAME, st.lists(TEXT, min_size=1, max_size=3), max_size=3)
ENDPOINT = st.fixed_dictionaries(
    {"ChannelType": st.sampled_from(["EMAIL", "SMS", "GCM", "CUSTOM"])},
    optional={
        "Attributes": LISTS,
        "Metrics": st.dictionaries(NAME, st.floats(-1e9, 1e9), max_size=2),
        "OptOut": st.sampled_from(["ALL", "NONE"]),
        "EndpointStatus": st.sampled_from(["ACTIVE", "INACTIVE"]),
        "Location": st.fixed_dictionaries({"City": TEXT, "Latitude": st.floats(-90, 90)}),
        "Demographic": st.fixed_dictionaries({"Make": TEXT, "Timezone": TEXT}),
        "User": st.fixed_dictionaries({"UserId": NAME}, optional={"UserAttributes": LISTS}),
    },
)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=st.lists(ENDPOINT, min_size=1, max_size=15))
def test_what_is_exported_and_imported_again_is_the_same(
    engage: Engage, worker: Worker, found: list[dict[str, Any]]
) -> None:
    engage.settings.__dict__["engage_max_attribute_names"] = 0
    source, target = app(engage), app(engage)
    items = [{**one, "Id": f"E-{n}", "Address": f"a{n}"} for n, one in enumerate(found)]
    request = {"ApplicationId": source, "EndpointBatchRequest": {"Item": items}}
    endpoints.update_endpoints_batch(engage, CALLER, request)
    exported = export_to(engage, source)
    lines = b"".join(orjson.dumps(one) + b"\n" for one in exported)
    for old in (
        list(engage.objects.list("s3://bucket/in/"))
        if engage.objects.bucket_exists("bucket")
        else []
    ):
        engage.objects.delete(old.uri)
    done = import_from(engage, target, {"e.gz": gzip.compress(lines)}, Format="JSON")
    assert done["TotalFailures"] == 0, done
    again = export_to(engage, target)
    assert again == [{**one, "ApplicationId": target} for one in exported]
