"""Node.js functions on the JavaScript of the official runtime client."""

from __future__ import annotations

import json

import pytest

from tailorbird.errors import Unavailable
from tailorbird.functions.runtimes import node
from tests.unit.functions.conftest import Workshop


def _missing() -> str:
    try:
        node.find("nodejs20.x")
    except Unavailable as missing:
        return missing.message
    return ""


pytestmark = pytest.mark.skipif(bool(_missing()), reason=_missing())

HANDLERS = {
    "callback": "exports.handler = (e, c, cb) => cb(null, e.a + 1);",
    "async": "exports.handler = async (e) => e.a + 1;",
    "thenable": "exports.handler = (e) => Promise.resolve(e.a + 1);",
    "context.succeed": "exports.handler = (e, c) => c.succeed(e.a + 1);",
    "late callback": "exports.handler = (e, c, cb) => setTimeout(() => cb(null, e.a + 1), 20);",
    "callback, then more work": (
        "exports.handler = (e, c, cb) => { cb(null, e.a + 1); setTimeout(() => 0, 30); };"
    ),
}


@pytest.mark.parametrize("style", HANDLERS)
def test_every_style_of_handler_answers(workshop: Workshop, style: str):
    done = workshop.run(HANDLERS[style], {"a": 41}, runtime="nodejs12.x")
    assert (done.payload, done.function_error) == (b"42", None)


def test_a_module_handler_answers(workshop: Workshop):
    source = "export const handler = async (e) => ({ got: e });"
    done = workshop.run(source, {"a": 1}, runtime="nodejs20.x", file="app.mjs")
    assert json.loads(done.payload) == {"got": {"a": 1}}


def test_a_streamed_response_is_gathered(workshop: Workshop):
    source = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.write('{"n":');
  if (event.fail) throw new TypeError('half way');
  stream.write(String(event.n));
  stream.end('}');
});
"""
    name = workshop.create(source, runtime="nodejs20.x")
    for number in (1, 2):
        assert json.loads(workshop.invoke(name, {"n": number}).payload) == {"n": number}
    failed = workshop.invoke(name, {"fail": True})
    assert (failed.function_error, json.loads(failed.payload)["errorType"]) == (
        "Unhandled",
        "TypeError",
    )
    assert json.loads(workshop.invoke(name, {"n": 3}).payload) == {"n": 3}


def test_a_callback_waits_for_the_empty_event_loop(workshop: Workshop):
    source = """
exports.handler = (e, c, cb) => {
  if (e.hurry) c.callbackWaitsForEmptyEventLoop = false;
  setTimeout(() => console.log('late work'), 150);
  cb(null, 'done');
};
"""
    name = workshop.create(source, runtime="nodejs20.x")
    assert "late work" in (workshop.invoke(name).log_tail or "")
    assert "late work" not in (workshop.invoke(name, {"hurry": True}).log_tail or "")


ERRORS = {
    "exports.handler = async () => { throw new TypeError('nope'); };": ("TypeError", "nope"),
    "exports.handler = () => { throw new Error('sync'); };": ("Error", "sync"),
    "exports.handler = (e, c, cb) => cb('text');": ("string", "text"),
    "exports.handler = (e, c, cb) => { Promise.reject('why'); };": (
        "Runtime.UnhandledPromiseRejection",
        "why",
    ),
    "exports.handler = (e, c, cb) => setTimeout(() => { throw new Error('late'); }, 5);": (
        "Error",
        "late",
    ),
    "exports.other = 1;": ("Runtime.HandlerNotFound", "app.handler is undefined or not exported"),
    "exports.handler = (": ("Runtime.UserCodeSyntaxError", None),
    "require('not-there');": ("Runtime.ImportModuleError", None),
}


@pytest.mark.parametrize("source", ERRORS)
def test_errors_have_lambdas_types(workshop: Workshop, source: str):
    done = workshop.run(source, runtime="nodejs20.x")
    error = json.loads(done.payload)
    error_type, message = ERRORS[source]
    assert (done.function_error, error["errorType"]) == ("Unhandled", error_type)
    assert message is None or error["errorMessage"] == message
    assert "trace" in error


def test_a_function_that_crashed_answers_the_next_time(workshop: Workshop):
    source = """
exports.handler = (e, c, cb) => {
  if (e.crash) Promise.reject(new Error('gone'));
  else cb(null, 'fine');
};
"""
    name = workshop.create(source, runtime="nodejs20.x")
    assert workshop.invoke(name, {"crash": True}).function_error == "Unhandled"
    assert workshop.invoke(name).payload == b'"fine"'


def test_console_lines_carry_time_request_and_level(workshop: Workshop):
    done = workshop.run("exports.handler = async () => console.warn('hm');", runtime="nodejs20.x")
    line = (done.log_tail or "").splitlines()[1]
    assert line.split("\t")[1:] == [done.request_id, "WARN", "hm"]


def test_it_sees_the_variables_and_folders_of_its_runtime(workshop: Workshop):
    source = """
exports.handler = async () => ({
  path: process.env.NODE_PATH, zone: process.env.TZ, hour: new Date(0).getHours(),
  cwd: process.cwd(), user: require('os').userInfo().username, env: process.env.AWS_EXECUTION_ENV,
});
"""
    seen = json.loads(workshop.run(source, runtime="nodejs18.x").payload)
    if workshop.room.supervisor.walls.private_network:
        folders = ["/opt/nodejs/node18/node_modules", "/opt/nodejs/node_modules"]
        assert seen["path"].split(":") == [*folders, "/var/runtime/node_modules"]
        assert (seen["cwd"], seen["user"]) == ("/var/task", "sbx_user1051")
    assert (seen["zone"], seen["hour"], seen["env"]) == (":UTC", 0, "AWS_Lambda_nodejs18.x")


def test_nothing_is_undefined_but_null(workshop: Workshop):
    assert (
        workshop.run("exports.handler = async () => {};", runtime="nodejs20.x").payload == b"null"
    )


def test_large_events_and_results_pass(workshop: Workshop):
    done = workshop.run(
        "exports.handler = async (e) => e.text + e.text;",
        {"text": "ü" * 1_000_000},
        runtime="nodejs20.x",
    )
    assert json.loads(done.payload) == "ü" * 2_000_000


def test_the_seeds_handler_runs_verbatim(workshop: Workshop):
    """The example of the Pinpoint developer guide, "Customizing segments with AWS Lambda"."""
    source = """'use strict';
 
exports.handler = (event, context, callback) => {
    for (var key in event.Endpoints) {
        if (event.Endpoints.hasOwnProperty(key)) {
            var endpoint = event.Endpoints[key];
            var attr = endpoint.Attributes;
            if (!attr) {
                attr = {};
                endpoint.Attributes = attr;
            }
            attr["CreditScore"] = [ Math.floor(Math.random() * 200) + 650];
        }
    }
    console.log("Received event:", JSON.stringify(event, null, 2));
    callback(null, event.Endpoints);
};
"""  # noqa: W293 - as published
    endpoints = {f"e{n}": {"ChannelType": "EMAIL", "User": {}} for n in range(50)}
    done = workshop.run(source, {"Endpoints": endpoints}, runtime="nodejs12.x")
    scores = [e["Attributes"]["CreditScore"][0] for e in json.loads(done.payload).values()]
    assert len(scores) == 50 and all(650 <= score < 850 for score in scores)
