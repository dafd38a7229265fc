"""The few kinds of refusal: raised deep, with what, which id and what would be right;
translated once, at the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TailorbirdError(Exception):
    """A refusal a person can act on.

    `code` names the exact error code of the service where the kind's usual one (the gateway's
    table) is not right; `members` is what else the service's error carries (Lambda's `Reason`).
    """

    def __init__(
        self, message: str, *, code: str | None = None, members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.members = dict(members or {})


class NotFound(TailorbirdError):
    """There is no such thing."""


class Conflict(TailorbirdError):
    """The state of the thing does not allow it."""


class AlreadyExists(Conflict):
    """Something with that name is there already."""


class InUse(Conflict):
    """Something else depends on it, or it is being worked on."""


class Invalid(TailorbirdError):
    """The request is wrong; the message says which field and what would be right."""


class TooLarge(Invalid):
    """More than the documented limit."""


class Denied(TailorbirdError):
    """The caller may not; the message names the statement or the key that is missing."""


class Throttled(TailorbirdError):
    """Too much at once; later it works."""


class LimitExceeded(Throttled):
    """A count quota is used up."""


class NotBuilt(TailorbirdError):
    """Tailorbird does not build this; the message names it."""


class Unavailable(TailorbirdError):
    """Something this needs is away for the moment; trying again is right."""
