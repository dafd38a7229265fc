"""Starts the official awslambdaric on the handler, with Lambda's module search order."""

import os
import site
import sys

task = os.environ["LAMBDA_TASK_ROOT"]
layers = os.environ.pop("TAILORBIRD_LAYERS", "/opt")
version = f"python{sys.version_info.major}.{sys.version_info.minor}"
# The task's code, then layers, then what PYTHONPATH names (/var/runtime), then Python's own.
sys.path[0:1] = [task, f"{layers}/python/lib/{version}/site-packages", f"{layers}/python"]
site.setquit()  # `exit()`, as code written for Lambda finds it; -S leaves it out
site.setcopyright()

from awslambdaric.bootstrap import run  # noqa: E402
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient  # noqa: E402

sys.argv[:] = [os.environ["_HANDLER"]]
run(os.environ["_HANDLER"], LambdaRuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"]))
