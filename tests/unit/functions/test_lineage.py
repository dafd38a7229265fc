"""A function that invokes itself in a loop is stopped after 16 times, unless that is allowed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tailorbird.errors import Invalid
from tailorbird.functions import lineage, runtime_management
from tailorbird.functions.names import FunctionRef
from tests.unit.functions.conftest import OWNER, Workshop

TRACE = "import os\ndef handler(event, context): return os.environ['_X_AMZN_TRACE_ID']"


def trace_of(workshop: Workshop, name: str, trace: str) -> str:
    done = workshop.invoke(name, caller=replace(OWNER, trace=trace))
    return str(json.loads(done.payload))


def test_the_seventeenth_invocation_of_a_chain_is_refused(workshop: Workshop):
    name, other = workshop.create(TRACE), workshop.create(TRACE)
    trace = ""
    for _ in range(16):
        trace = trace_of(workshop, name, trace)
        trace = trace_of(workshop, other, trace)
    with pytest.raises(Invalid, match="recursive loop") as refused:
        trace_of(workshop, name, trace)
    assert refused.value.code == "RecursiveInvocationException"
    assert trace_of(workshop, name, "").startswith("Root=1-")
    assert trace_of(workshop, workshop.create(TRACE), trace)


def test_a_function_that_may_loop_is_not_stopped(workshop: Workshop):
    name = workshop.create(TRACE)
    asked = {"FunctionName": name, "RecursiveLoop": "Allow"}
    runtime_management.put_function_recursion_config(workshop.room, OWNER, asked)
    trace = ""
    for _ in range(18):
        trace = trace_of(workshop, name, trace)
    assert trace.startswith("Root=1-")


@pytest.mark.parametrize(
    "trace", ["", "x", "Lineage=", "Lineage=zz:9", "Lineage=" + "a:" * 500, ";;=", "Lineage=aa:1|:"]
)
def test_any_header_is_read(trace: str):
    ref = FunctionRef("1" * 12, "us-east-1", "f")
    header = lineage.header(trace, ref, "5f0d7e4c-0000-4000-8000-000000000001", 1_700_000_000)
    assert header.startswith("Root=1-6553f100-5f0d7e4c") and "\r" not in header
    assert len(header) < 2000


def test_the_root_of_a_chain_stays():
    ref = FunctionRef("1" * 12, "us-east-1", "f")
    first = lineage.header("", ref, "5f0d7e4c-0000-4000-8000-000000000001", 1_700_000_000)
    second = lineage.header(first, ref, "11111111-0000-4000-8000-000000000001", 1_800_000_000)
    assert first.split(";")[0] == second.split(";")[0]
    assert second.endswith(":2")
