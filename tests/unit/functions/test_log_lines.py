"""LoggingConfig: text or JSON, the levels that are kept, and the group the log goes to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailorbird.errors import Invalid
from tailorbird.functions import Functions, catalog, log_lines, log_reads, logs
from tailorbird.functions.log_lines import Logging
from tests.unit.functions.conftest import ACCOUNT, OWNER, REGION, Workshop
from tests.unit.functions.test_catalog import create

TEXT = Logging("/aws/lambda/f")
JSON = Logging("/aws/lambda/f", json=True)
REPORT = (
    "REPORT RequestId: r-1\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 36 MB\tInit Duration: 110.10 ms\tStatus: timeout\t\n"
)
SAYS = """
import logging
def handler(event, context):
    print("printed")
    logging.getLogger().debug("fine")
    logging.getLogger().info("usual")
    logging.getLogger().warning("odd")
    logging.getLogger().error("bad")
"""


def test_text_stays_as_it_is():
    assert log_lines.system(REPORT, TEXT) == REPORT
    assert log_lines.application('{"level": "DEBUG"}\n', TEXT) == '{"level": "DEBUG"}\n'


@pytest.mark.parametrize(
    ("line", "kind", "record"),
    [
        ("START RequestId: r-1 Version: $LATEST\n", "platform.start",
         {"requestId": "r-1", "version": "$LATEST"}),
        (REPORT, "platform.report",
         {"requestId": "r-1", "status": "timeout",
          "metrics": {"durationMs": 1000.0, "billedDurationMs": 1000, "memorySizeMB": 128,
                      "maxMemoryUsedMB": 36, "initDurationMs": 110.1}}),
        ("INIT_START Runtime Version: python3.12\tRuntime Version ARN: arn:x\n",
         "platform.initStart",
         {"initializationType": "on-demand", "phase": "init", "runtimeVersion": "python3.12",
          "runtimeVersionArn": "arn:x"}),
        ("INIT_REPORT Init Duration: 9.50 ms\tPhase: init\tStatus: timeout\n",
         "platform.initReport",
         {"phase": "init", "status": "timeout", "metrics": {"initDurationMs": 9.5}}),
    ],
)  # fmt: skip
def test_system_lines_are_telemetry_events(line: str, kind: str, record: dict[str, Any]):
    said = json.loads(log_lines.system(line, JSON))
    assert (said["type"], said["record"]) == (kind, record)
    assert said["time"].endswith("Z")


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        ("DEBUG", ["platform.start", "platform.runtimeDone", "platform.report"]),
        ("INFO", ["platform.start", "platform.report"]),
        ("WARN", ["platform.report"]),
    ],
)
def test_system_events_have_levels(level: str, kinds: list[str]):
    text = "START RequestId: r-1 Version: 1\nEND RequestId: r-1\n" + REPORT
    said = log_lines.system(text, Logging("g", json=True, system=level))
    assert [json.loads(line)["type"] for line in said.splitlines()] == kinds


def test_why_an_invocation_ended_is_never_left_out():
    said = "RequestId: r-1 Error: Runtime exited without providing a reason\n"
    kept = json.loads(log_lines.system(said, Logging("g", json=True, system="WARN")))
    assert (kept["level"], kept["message"]) == ("ERROR", said.strip())


@pytest.mark.parametrize(
    ("level", "kept"),
    [("TRACE", 6), ("DEBUG", 5), ("INFO", 4), ("WARN", 3), ("ERROR", 2), ("FATAL", 1)],
)
def test_code_is_heard_from_its_level_on(level: str, kept: int):
    names = ("trace", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    text = "".join(json.dumps({"level": name}) + "\n" for name in names)
    said = log_lines.application(text, Logging("g", json=True, application=level))
    assert len(said.splitlines()) == kept


@pytest.mark.parametrize("line", ["plain\n", "{broken\n", '{"level": 7}\n', '{"a": 1}\n', "[1]\n"])
def test_what_has_no_level_is_kept(line: str):
    assert log_lines.application(line, Logging("g", json=True, application="FATAL")) == line


def test_levels_go_with_json_only(room: Functions):
    with pytest.raises(Invalid, match='LogLevel is not supported when LogFormat is set to "Text"'):
        create(room, LoggingConfig={"ApplicationLogLevel": "WARN"})
    made = create(room, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"})
    assert made["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "WARN",
        "LogGroup": "/aws/lambda/hook",
    }
    back = {"FunctionName": "hook", "LoggingConfig": {"LogFormat": "Text"}}
    changed = catalog.update_function_configuration(room, OWNER, back)["LoggingConfig"]
    assert changed == {"LogFormat": "Text", "LogGroup": "/aws/lambda/hook"}


def test_a_group_has_a_name_that_fits(room: Functions):
    with pytest.raises(Invalid, match="less than or equal to 254"):
        create(room, LoggingConfig={"LogGroup": "g" * 255})


@pytest.mark.parametrize("runtime", ["python3.12", "nodejs20.x"])
def test_a_functions_levels_are_heeded(workshop: Workshop, runtime: str):
    source = SAYS if runtime.startswith("python") else (
        "exports.handler = async () => { console.debug('fine'); console.info('usual');"
        " console.warn('odd'); console.error('bad'); }"
    )  # fmt: skip
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "WARN"}
    done = workshop.run(source, runtime=runtime, LoggingConfig=logging)
    assert done.payload == b"null"
    lines = [json.loads(line) for line in (done.log_tail or "").splitlines() if line[0] == "{"]
    assert [line["message"] for line in lines] == ["odd", "bad"]


def test_functions_may_share_a_group_of_another_name(workshop: Workshop):
    group = "/shared/of.both"
    source = "def handler(event, context): print(context.log_group_name)"
    names = [workshop.create(source, LoggingConfig={"LogGroup": group}) for _ in range(2)]
    for name in names:
        workshop.invoke(name)
    room, asked = workshop.room, {"logGroupName": group}
    said = log_reads.filter_log_events(room, OWNER, {**asked, "filterPattern": group})["events"]
    assert [event["message"] for event in said] == [group, group]
    streams = log_reads.describe_log_streams(room, OWNER, asked)["logStreams"]
    writers = {stream["logStreamName"].split("/")[-1].partition("[")[0] for stream in streams}
    assert writers == set(names)
    found = log_reads.describe_log_groups(room, OWNER, {"logGroupNamePrefix": "/shared"})
    assert [each["logGroupName"] for each in found["logGroups"]] == [group]
    one = log_reads.get_log_events(
        room, OWNER, {**asked, "logStreamName": streams[0]["logStreamName"]}
    )
    assert one["events"]


@pytest.mark.parametrize(
    "group", ["/aws/lambda/..", "../..", "/aws/lambda/a/b", "plain", "x" * 512]
)
def test_no_group_leads_out_of_its_folder(workshop: Workshop, group: str):
    base = workshop.room.root / "logs" / ACCOUNT / REGION
    folder = logs.folder(workshop.room.root, ACCOUNT, REGION, group)
    assert folder.parent == base and folder.name not in (".", "..")
    assert logs.streams(workshop.room.root, ACCOUNT, REGION, group) == []


def test_a_long_log_is_read_from_the_moment_asked_for(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logs, "NEAR_BYTES", 1000)
    room, group = workshop.room, "/long"
    folder = logs.folder(room.root, ACCOUNT, REGION, group)
    stream = logs.new_stream(folder, "f", "$LATEST", "2026/11/21")
    written = logs.Writer(stream)
    written.write(0, "\n".join(f"early {n}" for n in range(500)))
    for n in range(1500):
        written.write(1000 + n // 3, f"event {n}")
    written.close()

    def read(since: int) -> list[dict[str, Any]]:
        asked = {"logGroupName": group, "startTime": since}
        return list(log_reads.filter_log_events(room, OWNER, asked)["events"])

    whole = read(0)
    assert len(whole) == 2000
    for since in (1, 1000, 1001, 1234, 1499):
        assert read(since) == [event for event in whole if event["timestamp"] >= since] != []
    assert read(1500) == []
    assert next(logs.read(stream, since_ms=1499)).place > stream.path.stat().st_size - 3000
