"""What an account may have, has, and how a function follows its runtime."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.errors import Invalid, LimitExceeded, NotFound
from tailorbird.functions import Functions, account, configuration, runtime_management
from tailorbird.functions.names import FunctionRef
from tests.unit.functions.conftest import ACCOUNT, OWNER
from tests.unit.functions.test_catalog import ARN, CODE, create
from tests.unit.functions.test_concurrency import reserve
from tests.unit.functions.test_layers import CONTENT
from tests.unit.functions.test_layers import publish as publish_layer


def test_an_account_is_told_its_limits_and_what_it_uses(room: Functions):
    create(room, Publish=True)
    publish_layer(room)
    reserve(room, 30)
    assert account.get_account_settings(room, OWNER, {}) == {
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 970,
        },
        "AccountUsage": {"TotalCodeSize": 2 * len(CODE) + len(CONTENT), "FunctionCount": 1},
    }


def test_code_beyond_75_gb_is_refused(room: Functions):
    create(room)
    used = len(CODE)
    with room.db.read() as conn:
        account.check_storage(conn, ACCOUNT, "us-east-1", account.TOTAL_CODE_BYTES - used)
        with pytest.raises(LimitExceeded, match="Code storage limit exceeded") as refused:
            account.check_storage(conn, ACCOUNT, "us-east-1", account.TOTAL_CODE_BYTES - used + 1)
    assert refused.value.code == "CodeStorageExceededException"


def put(room: Functions, **members: Any) -> dict[str, Any]:
    request = {"FunctionName": "hook", **members}
    return runtime_management.put_runtime_management_config(room, OWNER, request)


def read(room: Functions, name: str = "hook") -> dict[str, Any]:
    return runtime_management.get_runtime_management_config(room, OWNER, {"FunctionName": name})


def test_a_function_follows_its_runtime_unless_told_otherwise(room: Functions):
    create(room)
    assert read(room) == {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}:$LATEST"}
    put(room, UpdateRuntimeOn="FunctionUpdate")
    assert read(room)["UpdateRuntimeOn"] == "FunctionUpdate"


def test_only_the_runtime_of_this_machine_can_be_held(room: Functions):
    create(room)
    installed = configuration.runtime_arn(FunctionRef(ACCOUNT, "us-east-1", "hook"), "python3.12")
    kept = put(room, UpdateRuntimeOn="Manual", RuntimeVersionArn=installed)
    assert kept["RuntimeVersionArn"] == installed
    with pytest.raises(Invalid, match="is not installed here"):
        put(room, UpdateRuntimeOn="Manual", RuntimeVersionArn=installed + "0")
    with pytest.raises(Invalid, match="RuntimeVersionArn goes with"):
        put(room, UpdateRuntimeOn="Manual")
    with pytest.raises(Invalid, match="RuntimeVersionArn goes with"):
        put(room, UpdateRuntimeOn="Auto", RuntimeVersionArn=installed)


def test_loops_of_functions_end_unless_they_are_allowed(room: Functions):
    create(room)
    asked = {"FunctionName": "hook"}
    get = runtime_management.get_function_recursion_config
    assert get(room, OWNER, asked) == {"RecursiveLoop": "Terminate"}
    allowed = {**asked, "RecursiveLoop": "Allow"}
    said = runtime_management.put_function_recursion_config(room, OWNER, allowed)
    assert said == get(room, OWNER, asked) == {"RecursiveLoop": "Allow"}
    for call in (get, runtime_management.put_function_recursion_config):
        with pytest.raises(NotFound):
            call(room, OWNER, {"FunctionName": "nope", "RecursiveLoop": "Allow"})
