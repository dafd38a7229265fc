"""Commands for functions: invoke, see how long they take, record and replay."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import App, Parameter

from tailorbird import cli_logs
from tailorbird.errors import Invalid
from tailorbird.terminal import Data, Url, asking, parse_json, remote, show

if TYPE_CHECKING:
    from tailorbird.remote import Remote

DIFFERENT = 1
BAR_WIDTH = 40
REPORTED = re.compile(r"\t(Duration|Init Duration|Max Memory Used): ([0-9.]+ (?:ms|MB))")
FRAME = ("START RequestId:", "END RequestId:", "REPORT RequestId:", '{"time":')
# The same of a log in JSON: the event platform.report.
MEASURED = re.compile(r'"(durationMs|initDurationMs|maxMemoryUsedMB)":([0-9.]+)')
NAMES = {
    "durationMs": "duration",
    "initDurationMs": "init duration",
    "maxMemoryUsedMB": "max memory used",
}
UNITS = {"durationMs": "ms", "initDurationMs": "ms", "maxMemoryUsedMB": "MB"}


def add_to(app: App) -> None:
    """Make these commands of the front door."""
    for command in (invoke, functions, record, replay):
        app.command(command)
    cli_logs.add_to(app)


def invoke(
    function: str,
    payload: str = "{}",
    *,
    event: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    tail: bool = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """Invoke a function and print its answer.

    Args:
        function: Name or ARN.
        payload: The event as JSON, or @FILE.
        event: File with the event, - for standard input; the result is then indented, and what the
            function logged and how long it took is shown above it on standard error.
        tail: Print the end of its log as well, line for line as Lambda gives it.
    """
    server = remote(data, url)
    body = _event(event, payload)
    parse_json(body, "payload")
    with asking(server):
        answer = server.client("lambda").invoke(
            FunctionName=function,
            Payload=body.encode(),
            LogType="Tail" if tail or event else "None",
        )
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    sys.stderr.write(log if tail else _for_people(log))
    text = answer["Payload"].read().decode(errors="replace")
    sys.stdout.write((_indented(text) if event else text) + "\n")
    if answer.get("FunctionError"):
        sys.stderr.write(_failure(text))
        sys.exit(1)


def functions(name: str = "", *, data: Data = None, url: Url = None) -> None:
    """List the functions and how long their invocations take, since the server was started.

    Args:
        name: Name of one function, to see its latencies as a histogram.
    """
    server = remote(data, url)
    if name:
        return _histogram(server.call("GET", _own(name)))
    with asking(server):
        pages = server.client("lambda").get_paginator("list_functions").paginate()
        names = [each["FunctionName"] for page in pages for each in page["Functions"]]
    show([_line(server, each) for each in names], ())
    return None


def record(
    function: str, *, off: bool = False, forget: bool = False, data: Data = None, url: Url = None
) -> None:
    """Record a function's invocations from now on: event, result, log and duration.

    Args:
        function: Name of the function.
        off: Record no longer; what is recorded stays.
        forget: Remove what is recorded, and record no longer.
    """
    body = {"forget": True} if forget else {"on": not off}
    answer = remote(data, url).call("POST", f"{_own(function)}/record", body)
    show([{"function": function, "recording": answer["recording"]}], ())


def replay(function: str, *, last: int = 20, data: Data = None, url: Url = None) -> None:
    """Invoke a function again with its recorded events and show the results that differ.

    Args:
        function: Name of the function.
        last: How many of the newest records.
    """
    server = remote(data, url)
    found = server.call("GET", f"{_own(function)}/records")["records"][:last]
    if not found:
        raise Invalid(f"Nothing is recorded of {function}; `tailorbird record {function}` begins")
    compared = [_again(server, function, each["id"]) for each in reversed(found)]
    different = [each for each in compared if not each["same"]]
    for each in different:
        sys.stdout.write(
            f"{each['id']}\n  was {_short(each['was'])}\n  now {_short(each['now'])}\n"
        )
    sys.stdout.write(f"{len(compared)} replayed, {len(different)} differ\n")
    if different:
        sys.exit(DIFFERENT)


def _again(server: Remote, function: str, id: str) -> dict[str, Any]:
    return server.call("POST", f"{_own(function)}/replay", {"id": id})


def _own(name: str) -> str:
    return f"/_/functions/{quote(name, safe='')}"


def _event(event: Path | None, payload: str) -> str:
    """The event's text, from wherever it is said to be."""
    if str(event) == "-":
        return sys.stdin.read()
    file = event or (Path(payload[1:]) if payload.startswith("@") else None)
    if file is None:
        return payload
    try:
        return file.read_text()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from None


def _for_people(log: str) -> str:
    """The function's own lines, then one line of what the invocation took."""
    if not log:
        return ""
    own = [line for line in log.splitlines() if line and not line.startswith(FRAME)]
    reported = REPORTED.findall(log) or [
        (NAMES[name], f"{value} {UNITS[name]}") for name, value in MEASURED.findall(log)
    ]
    took = ", ".join(f"{name.lower()} {value}" for name, value in reported)
    return "".join(f"  {line}\n" for line in own) + (f"[{took}]\n" if took else "")


def _failure(text: str) -> str:
    """What went wrong in one line, where the result says it as Lambda's runtimes do."""
    try:
        found = json.loads(text)
        return f"tailorbird: the function failed: {found['errorType']}: {found['errorMessage']}\n"
    except (ValueError, KeyError, TypeError):
        return "tailorbird: the function failed\n"


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _line(server: Remote, name: str) -> dict[str, Any]:
    found = server.call("GET", _own(name))
    kept = ("invocations", "errors", "cold_starts", "p50_ms", "p95_ms", "p99_ms", "longest_ms")
    names = {key: found[key] for key in ("function", "runtime", "runs_on")}
    return names | {key: found["latency"][key] for key in kept} | {"recording": found["recording"]}


def _histogram(found: dict[str, Any]) -> None:
    latency = dict(found["latency"])
    buckets = latency.pop("buckets")
    sys.stdout.write(f"{found['function']} ({found['runs_on']}, {found['sandbox']})\n")
    sys.stdout.write("  " + ", ".join(f"{key} {value}" for key, value in latency.items()) + "\n")
    most = max((bucket["count"] for bucket in buckets), default=1)
    for bucket in buckets:
        bound = "more" if bucket["up_to_ms"] is None else f"{bucket['up_to_ms']:.2f} ms"
        bar = "#" * max(1, round(BAR_WIDTH * bucket["count"] / most))
        sys.stdout.write(f"  {bound:>14} {bucket['count']:>8} {bar}\n")


def _short(outcome: dict[str, Any]) -> str:
    error = " (error)" if outcome["error"] else ""
    return f"{json.dumps(outcome['response'])}{error} in {outcome['ms']:.1f} ms"
