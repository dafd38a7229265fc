"""The four ways to name a function: name, partial ARN, full ARN, each with or without a qualifier.

Source: Lambda API reference, parameter FunctionName.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tailorbird.errors import Invalid

LATEST = "$LATEST"
_FORMS = re.compile(
    r"(?:(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:|function:)?"
    r"(?P<name>[a-zA-Z0-9-_]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?"
)


@dataclass(frozen=True)
class FunctionRef:
    """One function, and the version or alias asked for (None when none was)."""

    account: str
    region: str
    name: str
    qualifier: str | None = None

    @property
    def arn(self) -> str:
        """The unqualified ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"

    @property
    def qualified_arn(self) -> str:
        """The ARN as it was asked for: with the qualifier when one was given."""
        return f"{self.arn}:{self.qualifier}" if self.qualifier else self.arn

    @property
    def guarded_arn(self) -> str:
        """The ARN that policies speak of: `$LATEST` is the function itself."""
        return self.arn if self.qualifier == LATEST else self.qualified_arn

    @property
    def version(self) -> str:
        return self.qualifier or LATEST


def parse(name_or_arn: str, account: str, region: str, qualifier: str | None = None) -> FunctionRef:
    """The function meant; account and region fill in what the name leaves out."""
    found = _FORMS.fullmatch(name_or_arn)
    if found is None:
        raise Invalid(
            f"1 validation error detected: Value '{name_or_arn}' at 'functionName' failed to"
            " satisfy constraint: Member must be a function name, a partial ARN or a full ARN",
            code="ValidationException",
        )
    inside = found["qualifier"]
    if inside and qualifier and inside != qualifier:
        raise Invalid(
            "The derived qualifier from the function name does not match the specified qualifier.",
            code="InvalidParameterValueException",
        )
    return FunctionRef(
        found["account"] or account, found["region"] or region, found["name"], inside or qualifier
    )
