"""Code signing is not built; that a function has none is what clients (Terraform) may ask.

Source: Lambda API reference, GetFunctionCodeSigningConfig.
"""

from __future__ import annotations

from typing import Any

from tailorbird.access import Caller
from tailorbird.functions import stored
from tailorbird.functions.room import Functions


def get_function_code_signing_config(
    room: Functions, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """The function's name, without the ARN of a configuration."""
    ref = stored.whole(caller, request)
    with room.db.read() as conn:
        stored.function(conn, ref)
    return {"FunctionName": ref.name}
