"""How a function's log is written: as text, or as JSON lines of the levels that were asked for.

Source: Lambda developer guide, "Configuring JSON and plain text log formats", "Log-level filtering"
and its table of system log events; Telemetry API schema reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

APPLICATION_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SYSTEM_LEVELS = ("DEBUG", "INFO", "WARN")
LEVEL_DEFAULT = "INFO"
OTHER_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL", "NOTSET": "TRACE"}
METRICS = {
    "Duration": "durationMs",
    "Billed Duration": "billedDurationMs",
    "Memory Size": "memorySizeMB",
    "Max Memory Used": "maxMemoryUsedMB",
    "Init Duration": "initDurationMs",
}
_FIELD = re.compile(r"([A-Z][A-Za-z ]*): ([^\t\n]*)")
System = tuple[str, str, dict[str, Any]]  # type, level, record


@dataclass(frozen=True)
class Logging:
    """Where a version's log goes, and in which shape."""

    group: str
    json: bool = False
    application: str = LEVEL_DEFAULT
    system: str = LEVEL_DEFAULT


def of(configuration: Mapping[str, Any]) -> Logging:
    """The logging of a function's LoggingConfig."""
    return Logging(
        configuration["LogGroup"],
        configuration.get("LogFormat") == "JSON",
        configuration.get("ApplicationLogLevel", LEVEL_DEFAULT),
        configuration.get("SystemLogLevel", LEVEL_DEFAULT),
    )


def system(text: str, logging: Logging) -> str:
    """The platform's own lines (START, END, REPORT ...) in the shape of the log."""
    if not logging.json:
        return text
    least = SYSTEM_LEVELS.index(logging.system)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines: list[dict[str, Any]] = []
    for line in filter(None, text.split("\n")):
        event = _event(line)
        if event is None:  # why an invocation ended: never left out
            lines.append({"timestamp": now, "level": "ERROR", "message": line})
            continue
        kind, level, record = event
        if SYSTEM_LEVELS.index(level) >= least:
            lines.append({"time": now, "type": f"platform.{kind}", "record": record})
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def application(text: str, logging: Logging) -> str:
    """What code printed; JSON lines with a level below the one asked for are left out.

    Lines without a level are kept: only what a runtime or a library has marked is filtered.
    """
    if not logging.json or not text:
        return text
    least = APPLICATION_LEVELS.index(logging.application)
    return "".join(line for line in text.splitlines(True) if _rank(line, least) >= least)


def _event(line: str) -> System | None:
    """What one of the platform's lines says, in the words of its JSON schema."""
    word, _, rest = line.partition(" ")
    fields = dict(_FIELD.findall(rest))
    if word == "INIT_START":
        names = {"runtimeVersion": "Runtime Version", "runtimeVersionArn": "Runtime Version ARN"}
        record = {"initializationType": "on-demand", "phase": "init"}
        return "initStart", "INFO", record | {key: fields[name] for key, name in names.items()}
    if word == "START":
        asked, _, version = rest.partition(" Version: ")
        request_id = asked.removeprefix("RequestId: ")
        return "start", "INFO", {"requestId": request_id, "version": version}
    if word == "END":
        return "runtimeDone", "DEBUG", {"requestId": fields["RequestId"]}
    if word in ("REPORT", "INIT_REPORT"):
        return _report(word, fields)
    return None


def _report(word: str, fields: Mapping[str, str]) -> System:
    status = fields.get("Status", "success")
    record: dict[str, Any] = {"status": status, "metrics": dict(_metrics(fields))}
    if "Error Type" in fields:
        record["errorType"] = fields["Error Type"]
    level = "INFO" if status == "success" else "WARN"
    if word == "INIT_REPORT":
        return "initReport", level, {"phase": "init", **record}
    return "report", level, {"requestId": fields["RequestId"], **record}


def _metrics(fields: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    for name, key in METRICS.items():
        if name in fields:
            number = float(fields[name].split()[0])
            yield key, number if key in ("durationMs", "initDurationMs") else int(number)


def _rank(line: str, unmarked: int) -> int:
    """The place of a line's level among the levels; `unmarked` when it says none."""
    if not line.startswith("{"):
        return unmarked
    try:
        level = str(json.loads(line).get("level", "")).upper()
    except ValueError:
        return unmarked
    level = OTHER_NAMES.get(level, level)
    return APPLICATION_LEVELS.index(level) if level in APPLICATION_LEVELS else unmarked
