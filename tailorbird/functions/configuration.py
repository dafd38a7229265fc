"""A function's configuration: Lambda's defaults and limits, and its shape on the wire.

Source: Lambda API reference, CreateFunction; developer guide, "Lambda quotas".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tailorbird.errors import Invalid, NotBuilt, Unavailable
from tailorbird.functions import log_lines, logs, runtimes
from tailorbird.functions.names import FunctionRef

TIMEOUT_DEFAULT_SECONDS = 3
MEMORY_DEFAULT_MB = 128
MEMORY_MB = (128, 10_240)
STORAGE_DEFAULT_MB = 512
STORAGE_MB = (512, 10_240)
ENVIRONMENT_BYTES = 4096
MAX_LAYERS = 5
LEVELS = ("ApplicationLogLevel", "SystemLogLevel")
RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
# What would change how the code runs, and is not built: refused by name rather than ignored.
NOT_BUILT = ("VpcConfig", "FileSystemConfigs", "ImageConfig", "DeadLetterConfig",
             "CodeSigningConfigArn", "CapacityProviderConfig", "DurableConfig",
             "TenancyConfig", "RuntimeConfig", "AcceleratorConfig")  # fmt: skip
INSTEAD = {
    "DeadLetterConfig": ": there are no queues and topics here; PutFunctionEventInvokeConfig sends"
    " what failed to a function or a bucket (DestinationConfig OnFailure)",
    "VpcConfig": ": there are no networks here; the setting functions_egress lists the hosts that"
    " functions may reach",
    "FileSystemConfigs": ": there are no file systems here; /tmp, layers and buckets are",
}
NO_VPC = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}
KEPT = ("Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "Environment",
        "TracingConfig", "EphemeralStorage", "LoggingConfig", "KMSKeyArn")  # fmt: skip


def new(request: Mapping[str, Any], name: str, max_timeout: int) -> dict[str, Any]:
    """The configuration of a new function, with the service's defaults; Invalid names the limit."""
    if request.get("PackageType", "Zip") != "Zip":
        raise NotBuilt("CreateFunction with PackageType Image")
    if not request.get("Runtime") or not request.get("Handler"):
        raise Invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment"
            " packages.",
            code="InvalidParameterValueException",
        )
    base = {
        "Description": "",
        "Timeout": TIMEOUT_DEFAULT_SECONDS,
        "MemorySize": MEMORY_DEFAULT_MB,
        "EphemeralStorage": {"Size": STORAGE_DEFAULT_MB},
        "TracingConfig": {"Mode": "PassThrough"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
        "PackageType": "Zip",
        "Architectures": request.get("Architectures") or ["x86_64"],
    }
    return changed(base, request, name, max_timeout)


def changed(
    old: Mapping[str, Any], request: Mapping[str, Any], name: str, max_timeout: int
) -> dict[str, Any]:
    """The configuration with the request's members laid over it."""
    for member in NOT_BUILT:
        if _says_something(request.get(member)):
            raise NotBuilt(f"A function with {member}{INSTEAD.get(member, '')}")
    if (request.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions":
        raise NotBuilt("SnapStart of PublishedVersions")
    given = {member: request[member] for member in KEPT if request.get(member) is not None}
    configuration = {**old, **given}
    if "LoggingConfig" in given:
        configuration["LoggingConfig"] = _logging(old["LoggingConfig"], given["LoggingConfig"])
    if request.get("VpcConfig") is not None:  # an empty one: no network of the customer's
        configuration["VpcConfig"] = NO_VPC
    _check(configuration, max_timeout)
    return configuration


def _logging(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The LoggingConfig with what is given over it: levels belong to JSON, INFO unless said."""
    settled = {**old, **given}
    _within_characters("loggingConfig.logGroup", settled["LogGroup"], logs.GROUP_CHARACTERS)
    if settled["LogFormat"] == "JSON":
        return {**dict.fromkeys(LEVELS, log_lines.LEVEL_DEFAULT), **settled}
    if any(member in given for member in LEVELS):
        raise Invalid(
            'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your'
            ' request or change the LogFormat to "JSON" and try again.',
            code="InvalidParameterValueException",
        )
    return {name: value for name, value in settled.items() if name not in LEVELS}


def describe(ref: FunctionRef, row: Any) -> dict[str, Any]:
    """The FunctionConfiguration of a stored version."""
    configuration = dict(row.configuration)
    variables = configuration.pop("Environment", {}).get("Variables")
    shape: dict[str, Any] = {
        "FunctionName": ref.name,
        "FunctionArn": ref.qualified_arn,
        **configuration,
        "LastModified": lambda_time(row.modified),
        "Version": row.version,
        "RevisionId": row.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_arn(ref, configuration["Runtime"])},
    }
    if variables:
        shape["Environment"] = {"Variables": variables}
    return shape


def listed(ref: FunctionRef, row: Any) -> dict[str, Any]:
    """The same without what only a single read shows."""
    shape = describe(ref, row)
    for member in ("State", "LastUpdateStatus"):
        shape.pop(member)
    return shape


def pending(shape: dict[str, Any]) -> dict[str, Any]:
    """The same as CreateFunction answers it: being made (and made, at the next read)."""
    shape.pop("LastUpdateStatus", None)
    return shape | {
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
    }


def updating(shape: dict[str, Any]) -> dict[str, Any]:
    """The same as an update answers it; the next read says Successful."""
    return shape | {
        "LastUpdateStatus": "InProgress",
        "LastUpdateStatusReason": "The function is being created.",
        "LastUpdateStatusReasonCode": "Creating",
    }


def lambda_time(moment: float) -> str:
    """`2026-11-21T16:00:00.000+0000`, Lambda's own way to write a time."""
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{int(moment * 1000) % 1000:03d}+0000"


def _check(configuration: Mapping[str, Any], max_timeout: int) -> None:
    runtimes.check_name(configuration["Runtime"])
    _within("timeout", configuration["Timeout"], 1, max_timeout)
    _within("memorySize", configuration["MemorySize"], *MEMORY_MB)
    _within("ephemeralStorage.size", configuration["EphemeralStorage"]["Size"], *STORAGE_MB)
    _check_variables(configuration.get("Environment", {}).get("Variables") or {})


def _within(where: str, value: int, least: int, most: int) -> None:
    if value < least:
        relation, bound = "greater", least
    elif value > most:
        relation, bound = "less", most
    else:
        return
    raise Invalid(
        f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy constraint:"
        f" Member must have value {relation} than or equal to {bound}",
        code="ValidationException",
    )


def _within_characters(where: str, text: str, most: int) -> None:
    if len(text) > most:
        raise Invalid(
            f"1 validation error detected: Value '{text}' at '{where}' failed to satisfy"
            f" constraint: Member must have length less than or equal to {most}",
            code="ValidationException",
        )


def _check_variables(variables: Mapping[str, str]) -> None:
    if reserved := sorted(RESERVED_VARIABLES & set(variables)):
        raise Invalid(
            "Lambda was unable to configure your environment variables because the environment"
            " variables you have provided contains reserved keys that are currently not supported"
            f" for modification. Reserved keys used in this request: {', '.join(reserved)}",
            code="InvalidParameterValueException",
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > ENVIRONMENT_BYTES:
        raise Invalid(
            "Lambda was unable to configure your environment variables because the environment"
            f" variables you have provided exceeded the 4KB limit. String measured: {measured}",
            code="InvalidParameterValueException",
        )


def _says_something(value: Any) -> bool:
    """True when a member holds anything at all, at any depth."""
    if isinstance(value, Mapping):
        return any(_says_something(inner) for inner in value.values())
    return bool(value)


def runtime_arn(ref: FunctionRef, runtime: str) -> str:
    """Names the interpreter that is really installed for this runtime name."""
    try:
        version = runtimes.find(runtime).version
    except Unavailable:
        version = "not-installed"
    return f"arn:aws:lambda:{ref.region}::runtime:{version}"
