"""The runtimes by the names customers write: each name leads to what is installed here."""

from __future__ import annotations

from tailorbird.errors import Invalid
from tailorbird.functions.runtimes import node, provided, python
from tailorbird.functions.runtimes.python import LEGACY, has_legacy
from tailorbird.functions.runtimes.runtime import Runtime

__all__ = ["FAMILIES", "LEGACY", "NAMES", "check_name", "find", "has_legacy", "installed"]

FAMILIES = {"python": python, "nodejs": node, "provided": provided}
NAMES: dict[str, str] = {name: family for family in FAMILIES for name in FAMILIES[family].NAMES}


def check_name(name: str) -> None:
    """Invalid, with the list of names, when there is no such runtime."""
    if name not in NAMES:
        raise Invalid(
            f"Value {name} at 'runtime' failed to satisfy constraint: Member must satisfy enum"
            f" value set: [{', '.join(NAMES)}] or be a valid ARN",
            code="InvalidParameterValueException",
        )


def find(name: str, bundle: str = "") -> Runtime:
    """The installed runtime behind the name; Unavailable says what is missing on this machine.

    `bundle` is "legacy" or nothing: which libraries a Python function is given.
    """
    check_name(name)
    return FAMILIES[NAMES[name]].find(name, bundle)


def installed() -> dict[str, str]:
    """What each family runs on here, or why it does not: for `doctor` and the health page."""
    return {family: module.describe() for family, module in FAMILIES.items()}
