"""Python environments that are forked: as fast as that is, and no different from others inside."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.conftest import wait_for
from tests.unit.functions.conftest import Workshop, open_workshop

RUNTIME = "python3.12"
ANEW = {"Environment": {"Variables": {"PYTHONNODEBUGRANGES": ""}}}  # read as Python starts
FACTS = """
import os, resource, sys
FORKED = "boto3" in sys.modules
KEYS = ("Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp", "Sig", "NSpid", "NStgid", "Umask")
def facts():
    status = [l for l in open("/proc/self/status") if l.startswith(KEYS)]
    own = ("AWS_", "_X_AMZN")
    return {
        "status": [l for l in status if not l.startswith("SigQ")],
        "limits": open("/proc/self/limits").read(),
        "path": sys.path,
        "flags": str(sys.flags),
        "argv": sys.argv,
        "cwd": os.getcwd(),
        "variables": {k: v for k, v in os.environ.items() if not k.startswith(own)},
        "names": sorted(os.environ),
        "root": sorted(os.listdir("/")),
        "opt": os.listdir("/opt"),
        "tmp": os.listdir("/tmp"),
        "var": sorted(os.listdir("/var")),
        "dev": sorted(os.listdir("/dev")),
        "files": sorted(os.listdir("/proc/self/fd"))[:3],
        "processes": len([n for n in os.listdir("/proc") if n.isdigit()]),
        "devices": sorted(l.split(":")[0].strip() for l in open("/proc/net/dev") if ":" in l),
        "hostname": os.uname().nodename,
        "main": sys.modules["__main__"].__file__,
        "modes": [oct(os.stat(p).st_mode) for p in ("/tmp", "/var/task", "/opt", "/dev/shm")],
    }
def handler(event, context): return [FORKED, facts()]
"""


@pytest.fixture(scope="module")
def prepared(workshop: Workshop) -> Workshop:
    room = workshop.room
    if not room.supervisor.walls.private_network:
        pytest.skip("bubblewrap does not work here")
    room.expect(RUNTIME)
    wait_for(lambda: room.supervisor.is_prepared(RUNTIME), timeout_seconds=30)
    return workshop


def body(workshop: Workshop, source: str, event: Any = None, **members: Any) -> Any:
    done = workshop.run(source, event, **{"Timeout": 20} | members)
    assert done.function_error is None, done.payload
    return json.loads(done.payload)


def test_a_fork_is_behind_the_same_walls_as_a_process_started_anew(prepared: Workshop):
    forked, mine = body(prepared, FACTS)
    anew, other = body(prepared, FACTS, **ANEW)
    assert (forked, anew) == (True, False)
    for facts in (mine, other):
        facts["status"] = [
            "own" if line.startswith(("Uid", "Gid")) else line for line in facts["status"]
        ]
        for name in ANEW["Environment"]["Variables"]:
            facts["variables"].pop(name, None)
            facts["names"] = [key for key in facts["names"] if key != name]
    assert mine == other


def test_the_user_of_each_fork_is_its_own(prepared: Workshop):
    if os.geteuid() != 0:
        pytest.skip("one user serves all environments of a house without root")
    source = "import os\ndef handler(event, context): return [os.getuid(), os.getgid()]"
    first, second = (body(prepared, source) for _ in range(2))
    assert first != second and min(*first, *second) >= 199_300_000


@pytest.mark.parametrize(
    ("file", "source", "module"),
    [
        ("boto3.py", "here = 'zip'", "boto3"),
        ("urllib3/__init__.py", "here = 'zip'", "urllib3"),
        ("calendar.py", "here = 'zip'", "calendar"),
    ],
)
def test_a_module_that_the_zip_brings_wins(prepared: Workshop, file: str, source: str, module: str):
    code = f"import {module}\ndef handler(event, context): return {module}.here"
    assert body(prepared, code, files={file: source}) == "zip"


def test_who_brings_a_library_gets_its_others_anew_and_pythons_own_loaded(prepared: Workshop):
    source = """
import sys
loaded = ["ssl" in sys.modules, "boto3" in sys.modules]
import botocore.session, jmespath, warnings
warned = [f for f in warnings.filters if f[2].__module__.startswith("urllib3")]
def handler(event, context):
    finders = [type(f).__module__ for f in sys.meta_path]
    return [loaded, jmespath.here, botocore.session.__file__, finders.count("six")]
"""
    jmespath = "here = 'zip'\nclass Options: pass\ndef compile(text): pass\ndef search(*_): pass"
    files = {
        "jmespath/__init__.py": jmespath,
        "jmespath/visitor.py": "class Options: pass",
        "jmespath/exceptions.py": "class JMESPathError(Exception): pass",
        "jmespath/functions.py": "class Functions: pass",
    }
    loaded, here, file, finders = body(prepared, source, files=files)
    assert (loaded, here, finders <= 1) == ([True, False], "zip", True)
    assert file.startswith("/var/runtime/")


def test_a_module_that_a_layer_brings_wins(prepared: Workshop):
    from tailorbird.functions import layers
    from tests.unit.functions.conftest import OWNER, zipped

    content = {"ZipFile": zipped({"python/urllib3.py": "here = 'layer'"})}
    request = {"LayerName": "shadow", "Content": content}
    arn = layers.publish_layer_version(prepared.room, OWNER, request)["LayerVersionArn"]
    code = "import urllib3\ndef handler(event, context): return urllib3.here"
    assert body(prepared, code, Layers=[arn]) == "layer"
    code = "import urllib3\ndef handler(event, context): return urllib3.__file__"
    assert body(prepared, code).startswith("/var/runtime/")


def test_what_one_function_is_told_is_not_in_the_memory_of_the_next(prepared: Workshop):
    secret = "swordfish-" + "0123456789" * 3
    variables = {"Environment": {"Variables": {"SECRET": secret}}}
    assert body(prepared, "import os\ndef handler(e, c): return os.environ['SECRET']", **variables)
    source = """
def handler(event, context):
    wanted, found = bytes(reversed(event["wanted"].encode())), 0
    wanted = bytes(reversed(wanted))
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            if "r" not in mode or "[v" in line: continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                found += memory.read(end - start).count(b"swordfish-" + event["rest"].encode())
            except (OSError, OverflowError): pass
    return found
"""
    event = {"wanted": "x", "rest": "0123456789" * 3}
    parts = body(prepared, source.replace('b"swordfish-" +', 'bytes([115, 119, 111]) + b"rdf" +'
                 ' b"ish-" +'), event, MemorySize=512)  # fmt: skip
    assert parts <= 1  # what the search itself puts together


def test_nothing_a_fork_writes_is_seen_by_another(prepared: Workshop):
    source = """
import os
def handler(event, context):
    seen = []
    for folder in ("/tmp", "/dev/shm", "/", "/var/task", "/dev", "/opt", "/etc"):
        path = f"{folder}/left-behind"
        seen.append(os.path.exists(path))
        try: open(path, "w").close()
        except OSError: pass
    return any(seen)
"""
    assert body(prepared, source) is False
    assert body(prepared, source) is False


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("os._exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), 9)", "signal: killed"),
        ("os.abort()", "signal: aborted"),
    ],
)
def test_how_a_fork_ends_is_told(prepared: Workshop, ending: str, said: str):
    done = prepared.run(f"import os\ndef handler(event, context): {ending}")
    assert json.loads(done.payload)["errorMessage"].endswith(said)


def test_random_numbers_of_two_forks_differ(prepared: Workshop):
    source = (
        "import random, uuid\n"
        "def handler(event, context): return [random.random(), str(uuid.uuid4())]"
    )
    assert not set(body(prepared, source)) & set(body(prepared, source))


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Workshop]:
    settings = settings_module.load({"data": tmp_path / "data"}, environment={}, folder=tmp_path)
    db = Database(settings.database())
    upgrade(db)
    workshop = Workshop(open_workshop(db, settings))
    yield workshop
    workshop.room.stop()
    db.close()


def test_without_its_template_a_function_is_started_anew(alone: Workshop):
    room = alone.room
    room.start()
    if not room.supervisor.walls.private_network:
        pytest.skip("bubblewrap does not work here")
    name = alone.create("def handler(event, context): return 1")
    wait_for(lambda: room.supervisor.is_prepared(RUNTIME), timeout_seconds=30)
    assert alone.invoke(name).payload == b"1"
    for pid in _templates(str(room.root)):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not _templates(str(room.root)), timeout_seconds=10)
    time.sleep(0.1)
    assert alone.invoke(name).payload == b"1"
    assert alone.run(FACTS).function_error is None


def _templates(root: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "template.py" in words and root in words:
                found.append(int(folder.name))
    return found
