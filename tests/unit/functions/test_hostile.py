"""Code that means harm: contained, reported in Lambda's words, and others keep being served."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.unit.functions.conftest import Workshop
from tests.unit.functions.test_node import pytestmark as needs_node


@pytest.fixture(autouse=True)
def _walled(workshop: Workshop) -> None:
    if not workshop.room.supervisor.walls.private_network:
        pytest.skip("bubblewrap does not work here")


# name -> source, timeout in seconds, the error types it may end in
HARM = {
    "never returns": ("def handler(e, c):\n    while True: pass", 1, {"Sandbox.Timedout"}),
    "sleeps for ever": (
        "import time\ndef handler(e, c): time.sleep(1e6)",
        1,
        {"Sandbox.Timedout"},
    ),
    "will not die": (
        "import signal, time\n"
        "for n in range(1, 65):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "def handler(e, c):\n"
        "    while True: time.sleep(1)",
        1,
        {"Sandbox.Timedout"},
    ),
    "forks without end": (
        "import os\ndef handler(e, c):\n    while True:\n"
        "        try: os.fork()\n        except OSError: pass",
        1,
        {"Sandbox.Timedout", "Runtime.ExitError"},
    ),
    "starts threads without end": (
        "import threading, time\ndef handler(e, c):\n"
        "    while True: threading.Thread(target=time.sleep, args=(99,)).start()",
        2,
        {"Sandbox.Timedout", "RuntimeError", "Runtime.ExitError"},
    ),
    "fills memory": (
        "def handler(e, c):\n    held = []\n    while True: held.append(bytearray(1 << 20))",
        10,
        {"Runtime.ExitError", "MemoryError"},
    ),
    "opens files without end": (
        "def handler(e, c):\n    return [open('/dev/null') for _ in range(5000)]",
        5,
        {"OSError"},
    ),
    "writes garbage for ever": (
        "import os\ndef handler(e, c):\n    while True: os.write(1, b'\\xff\\x00\\r\\n' * 16384)",
        1,
        {"Sandbox.Timedout"},
    ),
    "answers an invocation it was not given": (
        "import os, urllib.request\ndef handler(e, c):\n"
        "    base = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/'\n"
        "    urllib.request.urlopen(base + 'invocation/other/response', b'{}')",
        5,
        {"HTTPError"},
    ),
    "breaks the Runtime API's socket": (
        "import os\ndef handler(e, c):\n    os.closerange(3, 1000)\n    return 1",
        2,
        {"Runtime.ExitError", "Sandbox.Timedout"},
    ),
    "recurses without end": (
        "def handler(e, c): return handler(e, c)",
        5,
        {"RecursionError"},
    ),
}


@pytest.mark.parametrize("name", HARM)
def test_it_is_contained_and_reported_and_others_are_served(workshop: Workshop, name: str):
    if name == "fills memory" and not workshop.room.supervisor.limits_memory:
        pytest.skip("no memory controller can be used here")
    source, timeout, ends = HARM[name]
    other = workshop.create("def handler(event, context): return 'fine'", Timeout=10)
    workshop.invoke(other)
    harmful = workshop.create(source, Timeout=timeout)
    done = []
    running = threading.Thread(target=lambda: done.append(workshop.invoke(harmful)))
    running.start()
    served = []
    while running.is_alive():
        served.append(workshop.invoke(other).payload)
        time.sleep(0.05)
    running.join()
    assert done[0].function_error == "Unhandled"
    assert json.loads(done[0].payload)["errorType"] in ends
    assert set(served) <= {b'"fine"'}
    assert workshop.invoke(other).payload == b'"fine"'


def test_daemons_end_with_their_environment(workshop: Workshop):
    """A process that let itself be adopted and left its session is still inside the walls."""
    source = """
import os, time
def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(0.05)
                open("/tmp/beat", "a").write("x")
        os._exit(0)
    time.sleep(0.3)
    if event.get("exit"): os._exit(1)
    return os.path.getsize("/tmp/beat")
"""
    name = workshop.create(source, Timeout=5)
    assert workshop.invoke(name, {"exit": True}).function_error == "Unhandled"
    beats = workshop.create("def handler(event, context): return 1")
    workshop.invoke(beats)
    spare = list((workshop.room.root / "tmp").rglob("beat"))
    sizes = [p.stat().st_size for p in spare]
    time.sleep(0.4)
    assert sizes and [p.stat().st_size for p in spare] == sizes


def test_other_functions_files_are_out_of_reach(workshop: Workshop):
    secret = workshop.create("def handler(e, c): open('/tmp/secret', 'w').write('s'); return 1")
    workshop.invoke(secret)
    source = """
import os
def handler(event, context):
    found = []
    for base, _, files in os.walk("/"):
        if base.startswith(("/proc", "/sys", "/usr")): continue
        found += [os.path.join(base, f) for f in files if f == "secret" or f.endswith(".db")]
    return found
"""
    assert workshop.run(source, Timeout=20).payload == b"[]"


def test_the_houses_processes_and_keys_are_out_of_reach(workshop: Workshop):
    source = """
import os, signal
def handler(event, context):
    try: os.kill(event["house"], signal.SIGKILL)
    except OSError as error: killed = type(error).__name__
    else: killed = "yes"
    environments = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: environments.append(open(f"/proc/{pid}/environ").read())
        except OSError: pass
    return [killed, sum("TAILORBIRD_DATABASE_URL" in e for e in environments)]
"""
    import os

    assert json.loads(workshop.run(source, {"house": os.getpid()}).payload) == [
        "ProcessLookupError",
        0,
    ]


@needs_node
@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("exports.handler = async () => { for (;;); };", "Sandbox.Timedout"),
        ("exports.handler = async () => process.exit(0);", "Runtime.ExitError"),
        (
            "exports.handler = async () => {"
            " const a = []; for (;;) a.push(new Array(1e6).fill(1)); };",
            "Runtime.ExitError",
        ),
        (
            "exports.handler = async () => process.kill(process.pid, 'SIGKILL');",
            "Runtime.ExitError",
        ),
    ],
)
def test_node_is_held_by_the_same_walls(workshop: Workshop, source: str, ends: str):
    name = workshop.create(source, runtime="nodejs20.x", Timeout=5)
    done = workshop.invoke(name)
    assert json.loads(done.payload)["errorType"] == ends
    assert workshop.run("exports.handler = async () => 1;", runtime="nodejs20.x").payload == b"1"
