"""What a type of destination is: its settings, the calls it takes, and how it delivers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from tailorbird.errors import Invalid

if TYPE_CHECKING:
    from tailorbird.collect.room import Collect


class State(IntEnum):
    """How far a call has come on its way to a destination."""

    WAITING = 0
    DELIVERED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Parcel:
    """One call on its way: its number in the log, what it says, and its bytes.

    A file of the archive is a parcel too: its `call` has the file's `uri` and number of `calls`.
    """

    number: int
    call: dict[str, Any]
    line: bytes
    attempts: int = 0
    queued: float = 0.0
    received: float = 0.0
    function: str | None = None  # that sent the call


@dataclass(frozen=True, slots=True)
class Result:
    """How one attempt ended. WAITING means: try again later."""

    state: State
    reason: str = ""
    message: str = ""


DONE = Result(State.DELIVERED)


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination in force."""

    id: str
    source_id: str
    account: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Option:
    """One setting of a type of destination."""

    name: str
    label: str
    type: type
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class DestinationType:
    """`refuses` says why a call is not for this destination, or nothing when it is."""

    id: str
    name: str
    slug: str
    options: tuple[Option, ...]
    refuses: Callable[[dict[str, Any], dict[str, Any]], str | None]
    deliver: Callable[[Collect, Destination, Sequence[Parcel]], list[Result]]
    batch: int = 1
    concurrency: int | None = None  # None is the setting delivery_concurrency
    check: Callable[[dict[str, Any]], None] = field(default=lambda settings: None)
    takes_files: bool = False  # a parcel is a file of the archive, not a call
    retry_hours: float | None = None  # None is the setting delivery_retry_hours
    old_name: str = ""

    def checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings with their types and required ones checked; Invalid names the wrong one."""
        check_options(self.name, self.options, settings)
        self.check(settings)
        return settings


def check_options(of: str, options: Sequence[Option], settings: dict[str, Any]) -> None:
    """Invalid names the setting that is unknown, missing or of a wrong type."""
    known = {option.name: option for option in options}
    for name, value in settings.items():
        if name not in known:
            raise Invalid(f"{of} has no setting {name!r}; it has {', '.join(known)}")
        _check(known[name], value)
    for option in options:
        if option.required and not settings.get(option.name):
            raise Invalid(f"{of} needs the setting {option.name!r} ({option.label})")


def _check(option: Option, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, option.type):
        raise Invalid(f"setting {option.name!r} is {value!r}; {_NAMES[option.type]} is right")
    if option.choices and value not in option.choices:
        raise Invalid(f"setting {option.name!r} is {value!r}; one of {', '.join(option.choices)}")


_NAMES = {str: "a text", list: "a list", dict: "an object", bool: "true or false", int: "a number"}
