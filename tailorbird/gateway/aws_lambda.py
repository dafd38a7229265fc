"""AWS Lambda, operation by operation: the room's functions under the service's own names."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from tailorbird.access import Caller
from tailorbird.functions import (
    Functions,
    account,
    aliases,
    catalog,
    code_signing,
    concurrency,
    event_config,
    invocations,
    layer_permissions,
    layers,
    names,
    permissions,
    resource_policies,
    runtime_management,
    tags,
    versions,
)

_NAMING = ("FunctionName", "ResourceArn", "Resource")
Operation = Callable[[Functions, Caller, dict[str, Any]], dict[str, Any]]


def _heed(name: str, function: Operation) -> Operation:
    """The operation, unless the policy of the function it is done to denies the caller that."""

    @wraps(function)
    def heeding(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
        named = next(str(request[member]) for member in _NAMING if member in request)
        if not named.startswith("arn:") or ":function:" in named:
            ref = names.parse(named, caller.account, caller.region, request.get("Qualifier"))
            resource_policies.check_deny(room, caller, name, ref)
        return function(room, caller, request)

    return heeding


# What is done to a function, so that the function's policy has a say in it.
_OF_A_FUNCTION: dict[str, Operation] = {
    "AddPermission": permissions.add_permission,
    "CreateAlias": aliases.create_alias,
    "DeleteAlias": aliases.delete_alias,
    "DeleteFunction": catalog.delete_function,
    "DeleteFunctionConcurrency": concurrency.delete_function_concurrency,
    "DeleteFunctionEventInvokeConfig": event_config.delete_function_event_invoke_config,
    "DeleteResourcePolicy": resource_policies.delete_resource_policy,
    "GetAlias": aliases.get_alias,
    "GetFunction": catalog.get_function,
    "GetFunctionCodeSigningConfig": code_signing.get_function_code_signing_config,
    "GetFunctionConcurrency": concurrency.get_function_concurrency,
    "GetFunctionConfiguration": catalog.get_function_configuration,
    "GetFunctionEventInvokeConfig": event_config.get_function_event_invoke_config,
    "GetFunctionRecursionConfig": runtime_management.get_function_recursion_config,
    "GetPolicy": permissions.get_policy,
    "GetResourcePolicy": resource_policies.get_resource_policy,
    "GetRuntimeManagementConfig": runtime_management.get_runtime_management_config,
    "ListAliases": aliases.list_aliases,
    "ListFunctionEventInvokeConfigs": event_config.list_function_event_invoke_configs,
    "ListTags": tags.list_tags,
    "ListVersionsByFunction": versions.list_versions_by_function,
    "PublishVersion": versions.publish_version,
    "PutFunctionConcurrency": concurrency.put_function_concurrency,
    "PutFunctionRecursionConfig": runtime_management.put_function_recursion_config,
    "PutFunctionEventInvokeConfig": event_config.put_function_event_invoke_config,
    "PutResourcePolicy": resource_policies.put_resource_policy,
    "PutRuntimeManagementConfig": runtime_management.put_runtime_management_config,
    "RemovePermission": permissions.remove_permission,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateAlias": aliases.update_alias,
    "UpdateFunctionCode": catalog.update_function_code,
    "UpdateFunctionConfiguration": catalog.update_function_configuration,
    "UpdateFunctionEventInvokeConfig": event_config.update_function_event_invoke_config,
}

OPERATIONS: dict[str, Operation] = {
    **{name: _heed(name, function) for name, function in _OF_A_FUNCTION.items()},
    "AddLayerVersionPermission": layer_permissions.add_layer_version_permission,
    "CreateFunction": catalog.create_function,
    "DeleteLayerVersion": layers.delete_layer_version,
    "GetAccountSettings": account.get_account_settings,
    "GetLayerVersion": layers.get_layer_version,
    "GetLayerVersionByArn": layers.get_layer_version_by_arn,
    "GetLayerVersionPolicy": layer_permissions.get_layer_version_policy,
    "Invoke": invocations.invoke_function,  # asks the policy itself
    "InvokeWithResponseStream": invocations.invoke_with_response_stream,  # the same
    "InvokeAsync": invocations.invoke_async,
    "ListFunctions": catalog.list_functions,
    "ListLayerVersions": layers.list_layer_versions,
    "ListLayers": layers.list_layers,
    "PublishLayerVersion": layers.publish_layer_version,
    "RemoveLayerVersionPermission": layer_permissions.remove_layer_version_permission,
}

SLOW = {
    "Invoke",
    "InvokeWithResponseStream",
}  # waits for the customer's code, so it gets a thread of its own
