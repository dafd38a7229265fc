"""System calls a function has no business making are refused; everything usual goes on working."""

from __future__ import annotations

import json
import struct

import pytest

from tailorbird.functions import seccomp
from tests.unit.functions.conftest import Workshop
from tests.unit.functions.test_node import pytestmark as needs_node

X86, ARM = seccomp.MACHINES["x86_64"], seccomp.MACHINES["aarch64"]
ALLOWED = {"x86_64": {"read": 0, "execve": 59, "fork": 57}, "aarch64": {"read": 63, "execve": 221}}
THREAD_FLAGS = 0x3D0F00  # what pthread_create gives clone


def run(program: bytes, audit: int, number: int, argument: int = 0) -> int:
    """What the kernel would answer: an interpreter of the few instructions used."""
    data = {0: number, 4: audit, 16: argument}
    at, value = 0, 0
    while True:
        code, yes, no, k = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == seccomp.LOAD:
            value = data[k]
        elif code == seccomp.RETURN:
            return k
        else:
            holds = {
                seccomp.IF_EQUAL: value == k,
                seccomp.IF_AT_LEAST: value >= k,
                seccomp.IF_ANY_BIT: bool(value & k),
            }[code]
            at += yes if holds else no


@pytest.mark.parametrize("name", seccomp.MACHINES)
def test_the_denied_calls_are_refused_and_others_pass(name: str):
    machine, program = seccomp.MACHINES[name], seccomp.program(name)
    assert program is not None
    for call, number in machine.denied.items():
        assert run(program, machine.audit, number) == seccomp.NOT_ALLOWED, call
    for call, number in ALLOWED[name].items():
        assert run(program, machine.audit, number) == seccomp.ALLOW, call


@pytest.mark.parametrize("name", seccomp.MACHINES)
def test_a_new_process_may_be_made_but_no_new_namespace(name: str):
    machine, program = seccomp.MACHINES[name], seccomp.program(name)
    assert program is not None
    assert run(program, machine.audit, machine.clone, THREAD_FLAGS) == seccomp.ALLOW
    for flag in (0x00020000, 0x10000000, 0x20000000, 0x40000000):  # mount, user, pid, network
        assert run(program, machine.audit, machine.clone, flag) == seccomp.NOT_ALLOWED
    assert run(program, machine.audit, machine.clone3) == seccomp.NOT_THERE


def test_calls_of_another_architecture_are_not_there():
    program = seccomp.program("x86_64") or b""
    assert run(program, ARM.audit, 0) == seccomp.NOT_THERE
    assert run(program, X86.audit, seccomp.X32_BIT | 1) == seccomp.NOT_THERE


def test_a_machine_whose_calls_are_not_known_has_no_filter():
    assert seccomp.program("pdp11") is None


@pytest.fixture
def filtered(workshop: Workshop) -> Workshop:
    if not workshop.room.supervisor.walls.seccomp:
        pytest.skip("no seccomp filter here")
    return workshop


def test_the_level_says_it(filtered: Workshop):
    assert filtered.room.level == "bwrap with seccomp"


def test_a_function_meets_the_filter(filtered: Workshop):
    source = """
import ctypes, errno, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
def refused(number, *arguments):
    return libc.syscall(number, *arguments) == -1 and errno.errorcode[ctypes.get_errno()]
def handler(event, context):
    thread = threading.Thread(target=print, args=("thread",))
    thread.start(); thread.join()
    return {
        "status": [l for l in open("/proc/self/status") if l.startswith("Seccomp:")][0].split()[1],
        "calls": {name: refused(number, 0, 0, 0, 0, 0) for name, number in event.items()},
        "child": subprocess.run(["echo", "child"], capture_output=True, text=True).stdout,
    }
"""
    import platform

    calls = seccomp.MACHINES[platform.machine()].denied
    wanted = {name: calls[name] for name in ("bpf", "keyctl", "ptrace", "unshare", "userfaultfd")}
    answer = json.loads(filtered.run(source, wanted).payload)
    assert answer == {"status": "2", "calls": dict.fromkeys(wanted, "EPERM"), "child": "child\n"}


@needs_node
def test_node_works_behind_it(filtered: Workshop):
    source = """
const { execFileSync } = require('child_process');
const { Worker } = require('worker_threads');
exports.handler = async () => {
  const worker = new Worker("require('worker_threads').parentPort.postMessage(7)", { eval: true });
  const said = await new Promise((resolve) => worker.once('message', resolve));
  require('fs').writeFileSync('/tmp/x', 'y');
  const text = await require('fs/promises').readFile('/tmp/x', 'utf8');
  return [said, String(execFileSync('echo', ['child'])), text];
};
"""
    done = filtered.run(source, runtime="nodejs20.x", Timeout=20, MemorySize=512)
    assert json.loads(done.payload) == [7, "child\n", "y"]
