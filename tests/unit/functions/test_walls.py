"""Hostile code is contained, reported, and others keep being served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.conftest import wait_for
from tests.unit.functions.conftest import Workshop


@pytest.fixture(autouse=True)
def _walled(workshop: Workshop) -> None:
    if not workshop.room.supervisor.walls.private_network:
        pytest.skip("bubblewrap does not work here")


def result(workshop: Workshop, body: str, **members: object) -> object:
    """What a handler with this body returns."""
    source = "import os, subprocess, sys\ndef handler(event, context):\n" + textwrap.indent(
        textwrap.dedent(body), "    "
    )
    return json.loads(workshop.run(source, Timeout=20, **members).payload)


def test_the_house_data_and_other_functions_code_are_not_there(workshop: Workshop):
    data = str(workshop.room.settings.data)
    body = f"return [os.path.exists({data!r}), sorted(os.listdir('/var'))]"
    assert result(workshop, body) == [False, ["runtime", "tailorbird", "task"]] or result(
        workshop, body
    ) == [False, ["lang", "runtime", "tailorbird", "task"]]


@pytest.mark.parametrize(
    "path", ["/var/task/x", "/var/runtime/x", "/etc/x", "/usr/x", "/opt/x", "/x", "/proc/sys/x"]
)
def test_only_tmp_can_be_written(workshop: Workshop, path: str):
    body = f"""
    try: open({path!r}, "w")
    except OSError as error: return error.errno
    """
    assert result(workshop, body) in (1, 2, 13, 30)


def test_tmp_is_everybodys_as_lambdas_is(workshop: Workshop):
    assert result(workshop, "return oct(os.stat('/tmp').st_mode)") == "0o41777"


def test_it_sees_no_processes_but_its_own(workshop: Workshop):
    body = "return len([name for name in os.listdir('/proc') if name.isdigit()])"
    assert result(workshop, body) < 6


def test_it_cannot_take_privileges(workshop: Workshop):
    body = """
    def fails(call):
        try: call()
        except (OSError, PermissionError): return True
    mount = ["mount", "-t", "tmpfs", "x", "/tmp"]
    return [os.getuid() != 0, fails(lambda: os.setuid(0)),
            fails(lambda: os.mknod("/tmp/d", 0o20600, 1)),
            subprocess.run(mount, capture_output=True).returncode != 0]
    """
    assert result(workshop, body) == [True, True, True, True]


def test_its_network_has_only_loopback(workshop: Workshop):
    body = (
        "return sorted(line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line)"
    )
    assert "lo" in result(workshop, body)
    assert "eth0" not in result(workshop, body)


def test_a_fork_bomb_hurts_only_itself(workshop: Workshop):
    bomb = workshop.create(
        "import os\ndef handler(event, context):\n    while True: os.fork()", Timeout=1
    )
    other = workshop.create("def handler(event, context): return 'fine'")
    workshop.invoke(other)
    assert workshop.invoke(bomb).function_error == "Unhandled"
    assert workshop.invoke(other).payload == b'"fine"'


def test_memory_is_limited_to_what_the_function_has(workshop: Workshop):
    if not workshop.room.supervisor.limits_memory:
        pytest.skip("no memory controller can be used here")
    source = """
def handler(event, context):
    held = bytearray(event["mb"] * 1024 * 1024)
    for at in range(0, len(held), 4096): held[at] = 1
    return len(held)
"""
    name = workshop.create(source, Timeout=20)
    done = workshop.invoke(name, {"mb": 400})
    assert json.loads(done.payload)["errorMessage"].endswith(
        "Error: Runtime exited with error: signal: killed"
    )
    assert workshop.invoke(name, {"mb": 20}).function_error is None


def test_files_and_descriptors_are_limited(workshop: Workshop):
    body = """
    from resource import RLIMIT_CORE, RLIMIT_NOFILE, getrlimit
    return [getrlimit(RLIMIT_NOFILE)[0], getrlimit(RLIMIT_CORE)[0]]
    """
    assert result(workshop, body) == [1024, 0]


def test_one_file_cannot_outgrow_the_functions_storage(workshop: Workshop):
    body = """
    with open("/tmp/big", "wb") as file:
        file.truncate(512 * 1024 * 1024)
        try: file.truncate(512 * 1024 * 1024 + 1)
        except OSError as error: return error.errno
    """
    assert result(workshop, body) == 27  # EFBIG


def test_a_function_that_fills_its_tmp_is_ended_and_starts_empty(workshop: Workshop):
    source = """
import os, time
def handler(event, context):
    if event.get("fill"):
        for number in range(6):
            file = open(f"/tmp/{number}", "wb")
            os.posix_fallocate(file.fileno(), 0, 100 << 20)
        time.sleep(15)
    return os.listdir("/tmp")
"""
    name = workshop.create(source, Timeout=20)
    done = workshop.invoke(name, {"fill": True})
    assert "signal: killed" in json.loads(done.payload)["errorMessage"]
    assert workshop.invoke(name).payload == b"[]"


def test_closing_its_own_channels_harms_nobody(workshop: Workshop):
    name = workshop.create(
        "import os\ndef handler(event, context):\n    os.closerange(0, 100)\n    return 1",
        Timeout=3,
    )
    for _ in range(3):
        done = workshop.invoke(name)
        assert done.payload == b"1" or done.function_error == "Unhandled"


def test_everything_ends_when_the_house_is_killed(tmp_path: Path):
    """kill -9 of the house leaves no function behind."""
    script = tmp_path / "house.py"
    script.write_text(HOUSE)
    house = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert house.stdout is not None
    marker = house.stdout.readline().strip()
    assert marker, "the house did not start its function"
    assert _running(marker)
    house.send_signal(signal.SIGKILL)
    house.wait()
    begun = time.monotonic()
    wait_for(lambda: not _running(marker), timeout_seconds=10)
    assert time.monotonic() - begun < 10


def _running(marker: str) -> bool:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if marker in (folder / "cmdline").read_text():
                    return True
            except OSError:
                continue
    return False


HOUSE = """
import sys, threading, time
from pathlib import Path
from tailorbird import settings as settings_module
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.unit.functions.conftest import Workshop, open_workshop

folder = Path(sys.argv[1])
settings = settings_module.load({"data": folder / "data"}, environment={}, folder=folder)
db = Database(settings.database())
upgrade(db)
workshop = Workshop(open_workshop(db, settings))
marker = f"{time.time_ns()}"
name = workshop.create(
    "import subprocess\\ndef handler(event, context):\\n"
    "    subprocess.Popen(['sleep', event['marker'][-9:] + '.0'], start_new_session=True)\\n"
    "    subprocess.run(['sleep', event['marker'][-9:] + '.0'])", Timeout=60)
threading.Thread(target=workshop.invoke, args=(name, {"marker": marker}), daemon=True).start()
time.sleep(2)
print(marker[-9:], flush=True)
time.sleep(60)
"""


def test_of_the_servers_libraries_it_sees_only_the_runtimes(workshop: Workshop):
    source = """
import importlib.util, os
def handler(event, context):
    import boto3, dateutil.parser, six, urllib3
    found = [name for name in event if importlib.util.find_spec(name)]
    return [found, sorted(n for n in os.listdir("/var/runtime") if not n.endswith("-info"))]
"""
    name = workshop.create(source, Timeout=10)
    done = workshop.invoke(name, ["tailorbird", "sqlalchemy", "starlette", "numpy", "pip"])
    assert json.loads(done.payload) == [
        [],
        ["awslambdaric", "boto3", "botocore", "dateutil", "jmespath", "s3transfer", "simplejson",
         "six.py", "snapshot_restore_py.py", "urllib3"],
    ]  # fmt: skip
