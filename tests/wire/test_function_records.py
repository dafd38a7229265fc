"""Functions from a terminal: invoke, latencies, record, replay, against a started server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tailorbird.errors import Invalid
from tailorbird.remote import Remote
from tests import aws
from tests.conftest import Server

SOURCE = "def handler(event, context):\n    print('got', event['n'])\n    return {'twice': {op}}"


def run(server: Server, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    where = ["--data", str(server.data), "--url", server.url]
    return subprocess.run(
        [sys.executable, "-m", "tailorbird", *words, *where],
        capture_output=True,
        text=True,
        input=stdin,
    )


@pytest.fixture(scope="module")
def doubler(server: Server) -> Server:
    aws.python_function(server, "doubler", SOURCE.replace("{op}", "event['n'] * 2"))
    return server


def test_an_event_in_a_file_is_invoked_and_shown_for_people(doubler: Server, tmp_path: Path):
    event = tmp_path / "event.json"
    event.write_text('{"n": 21}')
    done = run(doubler, "invoke", "doubler", "--event", str(event))
    assert done.stdout == '{\n  "twice": 42\n}\n'
    log = done.stderr.splitlines()
    assert log[0] == "  got 21"
    assert log[-1].startswith("[duration ") and "max memory used" in log[-1]


def test_an_event_may_come_in_a_pipe(doubler: Server):
    assert json.loads(run(doubler, "invoke", "doubler", "--event", "-", stdin='{"n": 1}').stdout)


def test_a_function_error_is_exit_status_1(doubler: Server):
    done = run(doubler, "invoke", "doubler", "{}")
    assert (done.returncode, json.loads(done.stdout)["errorType"]) == (1, "KeyError")
    assert done.stderr == "tailorbird: the function failed: KeyError: 'n'\n"


def test_a_file_that_is_not_there_is_said_in_one_line(doubler: Server):
    done = run(doubler, "invoke", "doubler", "--event", "/nowhere.json")
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "tailorbird: /nowhere.json cannot be read: No such file or directory",
    )


def test_latencies_are_listed_and_drawn(doubler: Server):
    run(doubler, "invoke", "doubler", '{"n": 1}')
    lines = [json.loads(line) for line in run(doubler, "functions").stdout.splitlines()]
    [found] = [line for line in lines if line["function"] == "doubler"]
    assert found["invocations"] >= 1 and found["p50_ms"] > 0
    drawn = run(doubler, "functions", "doubler").stdout
    assert drawn.startswith("doubler (python3.") and "#" in drawn


def test_recorded_events_are_replayed_and_differences_shown(doubler: Server):
    assert json.loads(run(doubler, "record", "doubler").stdout)["recording"] is True
    for n in ("2", "3"):
        run(doubler, "invoke", "doubler", f'{{"n": {n}}}')
    same = run(doubler, "replay", "doubler")
    assert (same.returncode, same.stdout) == (0, "2 replayed, 0 differ\n")
    code = aws.zipped({"main.py": SOURCE.replace("{op}", "event['n'] ** 2")})
    doubler.client("lambda").update_function_code(FunctionName="doubler", ZipFile=code)
    changed = run(doubler, "replay", "doubler")
    assert changed.returncode == 1
    assert 'was {"twice": 6}' in changed.stdout and 'now {"twice": 9}' in changed.stdout
    assert changed.stdout.endswith("2 replayed, 1 differ\n")
    assert json.loads(run(doubler, "record", "doubler", "--forget").stdout)["recording"] is False
    assert run(doubler, "replay", "doubler").returncode == 2


def test_a_function_that_is_not_there_is_named(doubler: Server):
    done = run(doubler, "record", "nobody")
    assert done.returncode == 2 and "nobody" in done.stderr


def test_the_record_door_says_what_is_right(doubler: Server):
    seen_from_outside = Remote(doubler.url, doubler.data)
    with pytest.raises(Invalid, match=r"400 .*true or false"):
        seen_from_outside.call("POST", "/_/functions/doubler/record", {"on": "yes"})


def test_the_last_lines_of_a_log_are_printed_oldest_first(server: Server):
    aws.python_function(server, "teller", "def handler(event, context): print('n', event['n'])")
    for n in range(3):
        server.client("lambda").invoke(FunctionName="teller", Payload=json.dumps({"n": n}).encode())
    said = run(server, "logs", "teller").stdout.splitlines()
    assert [line for line in said if line.startswith("n ")] == ["n 0", "n 1", "n 2"]
    assert run(server, "logs", "teller", "--last", "2").stdout.splitlines() == said[-2:]


def test_a_log_of_one_function_is_found_in_a_group_that_others_share(server: Server):
    for name in ("ana", "ben"):
        aws.python_function(server, name, f"def handler(event, context): print('I am {name}')")
        server.client("lambda").update_function_configuration(
            FunctionName=name, LoggingConfig={"LogGroup": "/shared"}
        )
        server.client("lambda").invoke(FunctionName=name)
    said = run(server, "logs", "ana").stdout
    assert "I am ana" in said and "ben" not in said


def test_an_error_in_the_log_has_its_lines(server: Server):
    aws.python_function(server, "fails", "def handler(event, context): raise ValueError('no')")
    server.client("lambda").invoke(FunctionName="fails")
    said = run(server, "logs", "fails").stdout
    assert "\r" not in said and "[ERROR] ValueError: no\n" in said


def test_a_log_is_followed(server: Server):
    aws.python_function(server, "live", "def handler(event, context): print('new', event['n'])")
    where = ["--data", str(server.data), "--url", server.url]
    command = [sys.executable, "-m", "tailorbird", "logs", "live", "--follow", *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        server.client("lambda").invoke(FunctionName="live", Payload=b'{"n": 1}')
        said = iter(following.stdout.readline, "")
        assert next(line for line in said if line.startswith("new")) == "new 1\n"
        server.client("lambda").invoke(FunctionName="live", Payload=b'{"n": 2}')
        assert next(line for line in said if line.startswith("new")) == "new 2\n"
        following.kill()


def test_a_log_of_nothing_is_empty_and_of_nobody_an_error(server: Server):
    aws.python_function(server, "silent", "def handler(event, context): pass")
    done = run(server, "logs", "silent")
    assert (done.returncode, done.stdout) == (0, "")
    done = run(server, "logs", "nobody")
    assert (done.returncode, done.stderr) == (
        2,
        "tailorbird: There is no function nobody, and nothing is kept of one\n",
    )
