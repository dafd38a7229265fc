"""The environment variables of an execution environment, as recorded from AWS Lambda.

Source: Lambda developer guide, "Defined runtime environment variables".
"""

from __future__ import annotations

from collections.abc import Mapping

from tailorbird.access import AccessKey
from tailorbird.functions.resolve import FunctionVersion
from tailorbird.functions.runtimes.runtime import Places, Runtime

BUNDLE = "ssl/certs/ca-certificates.crt"
AUTHORITY = "tailorbird/authority.pem"
LANG = "en_US.UTF-8"
TZ = ":UTC"
PATH = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"


def of(
    version: FunctionVersion,
    runtime: Runtime,
    places: Places,
    key: AccessKey,
    house: str,
    runtime_api: str,
    log_stream: str,
    way_out: Mapping[str, str],
) -> dict[str, str]:
    """The function's own variables, and over them what the platform sets.

    `way_out` holds the variables that lead clients to the gateway where names alone do not.
    """
    region = version.ref.region
    variables = {
        "LANG": LANG,
        "TZ": TZ,
        "PATH": PATH,
        "LD_LIBRARY_PATH": library_path(places),
        "PWD": places.task,
        "HOME": places.tmp,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        **_trust(places),
        **way_out,
        "AWS_ENDPOINT_URL": house,
        "TAILORBIRD_URL": house,
        **runtime.env(places),
        **version.variables,
    }
    if places.tmp != "/tmp":
        variables["TMPDIR"] = places.tmp
    if version.logging.json:
        variables["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        variables["AWS_LAMBDA_LOG_LEVEL"] = version.logging.application
    return variables | {
        "_HANDLER": version.handler,
        "LAMBDA_TASK_ROOT": places.task,
        "LAMBDA_RUNTIME_DIR": places.runtime,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": version.ref.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": version.logging.group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        **_execution_environment(runtime),
        **_credentials(key),
    }


def _execution_environment(runtime: Runtime) -> Mapping[str, str]:
    """A function that brings its own runtime is not told one."""
    if runtime.brings_its_own:
        return {}
    return {"AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime.name}"}


def _trust(places: Places) -> Mapping[str, str]:
    """Where clients of every kind look for authorities."""
    names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    trusted = dict.fromkeys(names, f"{places.etc}/{BUNDLE}")
    return trusted | {"NODE_EXTRA_CA_CERTS": f"{places.etc}/{AUTHORITY}"}


def _credentials(key: AccessKey) -> Mapping[str, str]:
    found = {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}
    return found | ({"AWS_SESSION_TOKEN": key.session_token} if key.session_token else {})


def library_path(places: Places) -> str:
    """Where the loader of shared libraries looks, in Lambda's order."""
    folders = ["/var/lang/lib", "/lib64", "/usr/lib64", places.runtime, f"{places.runtime}/lib"]
    return ":".join([*folders, places.task, f"{places.task}/lib", f"{places.layers}/lib"])
