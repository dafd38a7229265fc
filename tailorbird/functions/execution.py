"""One invocation in one environment: its log lines, its deadline, and every way it can end.

Source of the payloads and log lines: what AWS Lambda was recorded to answer.
"""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tailorbird.functions import lineage, log_lines, logs, runtime_api
from tailorbird.functions.environment import Answer
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.records import Record
from tailorbird.functions.resolve import FunctionVersion
from tailorbird.functions.runtimes import provided
from tailorbird.functions.runtimes.runtime import Places
from tailorbird.functions.starting import Slot
from tailorbird.functions.supervisor import Supervisor

INIT_SECONDS = 10.0
PARK_SECONDS = 1.0  # a runtime that answered asks for the next invocation within this
SIGNALS = {134: "aborted", 137: "killed", 139: "segmentation fault", 143: "terminated"}


@dataclass(frozen=True)
class Invocation:
    """How an invocation ended. `function_error` is None when the function returned a result."""

    status: int
    payload: bytes
    function_error: str | None
    log_tail: str | None
    executed_version: str
    request_id: str
    duration_ms: float
    error_type: str | None = None


@dataclass
class _Run:
    """An invocation under way."""

    slot: Slot
    request_id: str
    fresh: bool
    timeout_seconds: float
    started: float = 0.0
    init_ms: float | None = None
    text: str = ""
    recorded_event: bytes | None = None
    trace: str = ""  # the header that the request came with
    take: Callable[[bytes], None] | None = None  # of the pieces of a streamed result

    def write(self, text: str) -> None:
        self.text += log_lines.system(text, self.slot.version.logging)

    def take_output(self) -> None:
        self.text += _printed(self.slot)


def execute(
    supervisor: Supervisor,
    version: FunctionVersion,
    invoked: FunctionRef,
    payload: bytes,
    request_id: str,
    *,
    patience_seconds: float | None = None,
    client_context: str | None = None,
    trace: str = "",
    record: bool = True,
) -> Invocation:
    """Run the function once. A caller that waits less long than the function may run gets an error
    when its patience ends; the function goes on."""
    run = _ready(supervisor, version, request_id)
    run.trace = trace
    return _execute(run, supervisor, invoked, payload, patience_seconds, client_context, record)


def stream(
    supervisor: Supervisor,
    version: FunctionVersion,
    invoked: FunctionRef,
    payload: bytes,
    request_id: str,
    *,
    client_context: str | None = None,
    trace: str = "",
) -> Iterator[bytes | Invocation]:
    """Run the function once: the pieces of its result as they come, then how it ended.

    It has begun when this returns, and runs to its end though nobody takes the pieces.
    """
    run = _ready(supervisor, version, request_id)
    run.trace = trace
    came: queue.SimpleQueue[bytes | Invocation | BaseException] = queue.SimpleQueue()

    def work() -> None:
        run.take = came.put
        try:
            done = _execute(run, supervisor, invoked, payload, None, client_context, record=True)
        except BaseException as error:  # such as a full disk: who takes the pieces would wait on
            came.put(error)
            raise
        if done.payload and done.error_type is None:
            came.put(done.payload)
        came.put(done)

    threading.Thread(target=work, name="functions-streaming", daemon=True).start()
    return _until_the_end(came)


def _until_the_end(
    came: queue.SimpleQueue[bytes | Invocation | BaseException],
) -> Iterator[bytes | Invocation]:
    while isinstance(piece := came.get(), bytes):
        yield piece
    if isinstance(piece, BaseException):
        raise piece
    yield piece


def _execute(
    run: _Run,
    supervisor: Supervisor,
    invoked: FunctionRef,
    payload: bytes,
    patience_seconds: float | None,
    client_context: str | None,
    record: bool,
) -> Invocation:
    version = run.slot.version
    if record and supervisor.records.wanted(version.ref, version.variables):
        run.recorded_event = payload
    if run.slot.environment.is_ready:
        answer = _invoke(run, invoked, payload, patience_seconds, client_context)
        if answer is None and _impatient(run, patience_seconds):
            _finish_later(supervisor, run)
            return _gave_up(run, patience_seconds or 0.0)
    else:
        run.started = time.monotonic()
        answer = run.slot.environment.init_error
    return _conclude(supervisor, run, answer)


def _ready(supervisor: Supervisor, version: FunctionVersion, request_id: str) -> _Run:
    """An environment that waits for an invocation, or one that failed to get there."""
    for _ in range(3):
        slot = supervisor.acquire(version)
        fresh = slot.invocations == 0
        run = _Run(slot, request_id, fresh, float(version.timeout_seconds))
        if not fresh:
            if slot.environment.wait_ready(time.monotonic() + PARK_SECONDS):
                return run
            supervisor.discard(slot)
            continue
        return _initialise(supervisor, version, run)
    slot = supervisor.acquire(version, fresh=True)
    return _initialise(
        supervisor, version, _Run(slot, request_id, True, float(version.timeout_seconds))
    )


def _initialise(supervisor: Supervisor, version: FunctionVersion, run: _Run) -> _Run:
    """Wait for the runtime to start; too slow a one starts again on the function's own time."""
    begun = time.monotonic()
    slot = run.slot
    if not slot.environment.wait_ready(begun + INIT_SECONDS) and slot.environment.exit_code is None:
        _log(run, _init_start(slot) + _printed(slot) + _init_timeout(slot, begun))
        supervisor.discard(slot, keep_tmp=True)
        slot = run.slot = supervisor.acquire(version, fresh=True)
        begun = time.monotonic()
        slot.environment.wait_ready(begun + run.timeout_seconds)
        run.timeout_seconds = max(0.0, run.timeout_seconds - (time.monotonic() - begun))
    run.init_ms = (time.monotonic() - begun) * 1000
    if slot.environment.is_ready:
        _log(run, _init_start(slot) + _printed(slot))
    else:  # what it said while it failed belongs to this invocation
        _log(run, _init_start(slot))
        run.write(_start_line(run))
        run.take_output()
    return run


def _invoke(
    run: _Run,
    invoked: FunctionRef,
    payload: bytes,
    patience_seconds: float | None,
    client_context: str | None,
) -> Answer | None:
    slot = run.slot
    slot.invocations += 1
    run.started = time.monotonic()
    run.write(_start_line(run))
    deadline_ms = int((time.time() + run.timeout_seconds) * 1000)
    trace = lineage.header(run.trace, slot.version.ref, run.request_id, deadline_ms // 1000)
    message = runtime_api.next_invocation(
        run.request_id, payload, deadline_ms, invoked.qualified_arn, client_context, trace
    )
    wait = run.timeout_seconds
    if patience_seconds is not None:
        wait = min(wait, patience_seconds)
    return slot.environment.invoke(run.request_id, message, run.started + wait, run.take)


def _conclude(supervisor: Supervisor, run: _Run, answer: Answer | None) -> Invocation:
    """Turn what happened into a result and a log, and give the environment back or end it."""
    slot, environment = run.slot, run.slot.environment
    duration_ms = (time.monotonic() - run.started) * 1000
    if answer is None and environment.exit_code is None:
        answer = _timed_out(run)
        duration_ms = run.timeout_seconds * 1000
        status = "timeout"
    elif answer is None:
        answer = _exited(run, environment.exit_code or 0)
        status = "error"
    else:
        run.take_output()
        status = "error" if answer.error_type else ""
    run.write(f"END RequestId: {run.request_id}\n")
    run.write(_report(run, duration_ms, status, answer.error_type))
    _log(run, run.text)
    if environment.exit_code is None and environment.init_error is None and status != "timeout":
        supervisor.release(slot)
    else:
        supervisor.discard(slot, keep_tmp=True)
    failed = answer.error_type is not None
    supervisor.ended(failed=failed)
    supervisor.histograms.add(slot.arn, duration_ms, cold=run.fresh, failed=failed)
    done = Invocation(
        status=200,
        payload=answer.payload,
        function_error="Unhandled" if failed else None,
        log_tail=logs.last_bytes(run.text),
        executed_version=slot.version.version,
        request_id=run.request_id,
        duration_ms=duration_ms,
        error_type=answer.error_type,
    )
    if run.recorded_event is not None:
        supervisor.records.keep(slot.version.ref, _record(run, run.recorded_event, done))
    return done


def _record(run: _Run, event: bytes, done: Invocation) -> Record:
    moment_ms = int(time.time() * 1000 - done.duration_ms)
    return Record(
        id=f"{moment_ms}-{run.request_id}",
        request_id=run.request_id,
        version=done.executed_version,
        moment_ms=moment_ms,
        duration_ms=done.duration_ms,
        function_error=done.function_error,
        event=event,
        response=done.payload,
        log=run.text,
    )


def _timed_out(run: _Run) -> Answer:
    run.slot.environment.kill()
    run.take_output()
    seconds = float(run.slot.version.timeout_seconds)
    said = f"Task timed out after {seconds:.2f} seconds"
    run.write(f"{_now()} {run.request_id} {said}\n\n")
    return _failure("Sandbox.Timedout", f"RequestId: {run.request_id} Error: {said}")


def _exited(run: _Run, code: int) -> Answer:
    run.take_output()
    if code == provided.NO_BOOTSTRAP and run.slot.runtime.brings_its_own:
        return _no_bootstrap(run)
    if code == 0:
        said = "Runtime exited without providing a reason"
    elif code < 0 or code in SIGNALS:
        name = SIGNALS.get(code if code > 0 else 128 - code, f"signal {-code}")
        said = f"Runtime exited with error: signal: {name}"
    else:
        said = f"Runtime exited with error: exit status {code}"
    message = f"RequestId: {run.request_id} Error: {said}"
    run.write(f"{message}\nRuntime.ExitError\n")
    return _failure("Runtime.ExitError", message)


def _no_bootstrap(run: _Run) -> Answer:
    looked = " ".join(provided.bootstraps(Places()))
    message = f"RequestId: {run.request_id} Error: Couldn't find valid bootstrap(s): [{looked}]"
    run.write(f"{message}\nRuntime.InvalidEntrypoint\n")
    return _failure("Runtime.InvalidEntrypoint", message)


def _impatient(run: _Run, patience_seconds: float | None) -> bool:
    """True when only the caller's time is over, not the function's."""
    if patience_seconds is None or patience_seconds >= run.timeout_seconds:
        return False
    return run.slot.environment.exit_code is None


def _finish_later(supervisor: Supervisor, run: _Run) -> None:
    """Let the function run to its end though nobody waits, as Lambda does."""

    def finish() -> None:
        answer = run.slot.environment.wait_answer(run.started + run.timeout_seconds)
        _conclude(supervisor, run, answer)

    threading.Thread(target=finish, name="functions-unwatched", daemon=True).start()


def _gave_up(run: _Run, patience_seconds: float) -> Invocation:
    answer = _failure(
        "Caller.TimedOut",
        f"RequestId: {run.request_id} Error: no answer within the caller's {patience_seconds:.2f}"
        f" seconds; the function may run for {run.timeout_seconds:.2f}",
    )
    return Invocation(
        200,
        answer.payload,
        "Unhandled",
        None,
        run.slot.version.version,
        run.request_id,
        patience_seconds * 1000,
        answer.error_type,
    )


def _failure(error_type: str, message: str) -> Answer:
    body = {"errorType": error_type, "errorMessage": message}
    return Answer(json.dumps(body, separators=(",", ":")).encode(), error_type)


def _report(run: _Run, duration_ms: float, status: str, error_type: str | None) -> str:
    version = run.slot.version
    fields = [
        f"REPORT RequestId: {run.request_id}",
        f"Duration: {duration_ms:.2f} ms",
        f"Billed Duration: {math.ceil(duration_ms)} ms",
        f"Memory Size: {version.memory_mb} MB",
        f"Max Memory Used: {run.slot.environment.peak_memory_mb()} MB",
    ]
    if run.fresh and run.init_ms is not None:
        fields.append(f"Init Duration: {run.init_ms:.2f} ms")
    if status == "timeout":
        fields.append("Status: timeout")
    elif status and error_type in ("Runtime.ExitError", "Function.ResponseSizeTooLarge"):
        fields += ["Status: error", f"Error Type: {error_type}"]
    return "\t".join(fields) + "\t\n"


def _start_line(run: _Run) -> str:
    return f"START RequestId: {run.request_id} Version: {run.slot.version.version}\n"


def _init_start(slot: Slot) -> str:
    arn = f"arn:aws:lambda:{slot.version.ref.region}::runtime:{slot.runtime.version}"
    line = f"INIT_START Runtime Version: {slot.runtime.name}\tRuntime Version ARN: {arn}\n"
    return log_lines.system(line, slot.version.logging)


def _init_timeout(slot: Slot, begun: float) -> str:
    took = (time.monotonic() - begun) * 1000
    line = f"INIT_REPORT Init Duration: {took:.2f} ms\tPhase: init\tStatus: timeout\n"
    return log_lines.system(line, slot.version.logging)


def _printed(slot: Slot) -> str:
    """What code printed since it was last asked, as far as the log wants it."""
    return log_lines.application(slot.environment.take_output(), slot.version.logging)


def _log(run: _Run, text: str) -> None:
    if text:
        run.slot.log.write(int(time.time() * 1000), text)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
