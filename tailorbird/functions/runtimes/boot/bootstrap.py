"""Starts the official awslambdaric on the handler, with Lambda's module search order."""

import os
import site
import sys

import runtime_client  # type: ignore[import-not-found]  # noqa: F401 - ours, not awslambdaric's

task = os.environ["LAMBDA_TASK_ROOT"]
layers = os.environ.pop("TAILORBIRD_LAYERS", "/opt")
version = f"python{sys.version_info.major}.{sys.version_info.minor}"
# The task's code, then layers, then what PYTHONPATH names (/var/runtime), then Python's own.
sys.path[0:1] = [task, f"{layers}/python/lib/{version}/site-packages", f"{layers}/python"]
site.setquit()  # `exit()`, as code written for Lambda finds it; -S leaves it out
site.setcopyright()
if sys.version_info < (3, 9):  # noqa: UP036 - SnapStart's module needs 3.9, and nobody uses it
    sys.modules["snapshot_restore_py"] = type(sys)("snapshot_restore_py")

from awslambdaric.bootstrap import run  # noqa: E402
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient  # noqa: E402

del sys.modules["runtime_client"]
sys.argv[:] = [os.environ["_HANDLER"]]
run(os.environ["_HANDLER"], LambdaRuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"]))
