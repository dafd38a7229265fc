"""AWS Lambda, operation by operation: the room's functions under the service's own names."""

from tailorbird.functions import catalog, invocations, permissions

OPERATIONS = {
    "AddPermission": permissions.add_permission,
    "CreateFunction": catalog.create_function,
    "DeleteFunction": catalog.delete_function,
    "GetFunction": catalog.get_function,
    "GetFunctionConfiguration": catalog.get_function_configuration,
    "GetPolicy": permissions.get_policy,
    "Invoke": invocations.invoke_function,
    "ListFunctions": catalog.list_functions,
    "RemovePermission": permissions.remove_permission,
    "UpdateFunctionCode": catalog.update_function_code,
    "UpdateFunctionConfiguration": catalog.update_function_configuration,
}

SLOW = {"Invoke"}  # waits for the customer's code, so it gets a thread of its own
