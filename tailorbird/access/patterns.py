"""The patterns of policies: `*` and `?`, ARNs part by part, `${variables}`.

Source: IAM user guide, "Resource", "ARN condition operators", "Policy variables and tags".
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

ARN_PARTS = 6
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# `${*}`, `${?}` and `${$}` mean the character itself: kept apart from wildcards until matching.
_LITERALS = {"*": "\ue000", "?": "\ue001", "$": "$"}
_UNESCAPE = {"\ue000": "*", "\ue001": "?"}


def as_list(value: Any) -> list[Any]:
    """Policies write one value alone or many in a list; this is always the list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def matches(pattern: str, text: str) -> bool:
    """True when the whole text fits the pattern of `*` (any run) and `?` (any one character)."""
    return pattern == "*" or pattern == text or _compiled(pattern).fullmatch(text) is not None


def arn_matches(pattern: str, arn: str) -> bool:
    """True when each of the six parts fits its own pattern; a `*` stays inside its part."""
    wanted, given = pattern.split(":", ARN_PARTS - 1), arn.split(":", ARN_PARTS - 1)
    if len(wanted) != ARN_PARTS or len(given) != ARN_PARTS or given[0] != "arn":
        return False
    if given[2] == "mobiletargeting":  # policies from Pinpoint's first years write ":/apps/..."
        wanted[5], given[5] = wanted[5].removeprefix("/"), given[5].removeprefix("/")
    return all(matches(w, g) for w, g in zip(wanted, given, strict=True))


def expand(pattern: str, scope: Mapping[str, Any] | None) -> str | None:
    """The pattern with its `${variables}` filled in; None when one has no value.

    Without a scope (policies of the version before 2012-10-17) it stays as written.
    """
    if scope is None or "${" not in pattern:
        return pattern
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = found[1].partition(",")
        if name in _LITERALS:
            return _LITERALS[name]
        value = scope.get(name.strip().lower())
        if value is None and default:
            value = default.strip().strip("'")
        if value is None or isinstance(value, list):
            missing = True
            return ""
        return str(value).replace("*", "\ue000").replace("?", "\ue001")

    text = _VARIABLE.sub(fill, pattern)
    return None if missing else text


def plain(text: str) -> str:
    """An expanded value for an exact comparison, where wildcards mean nothing."""
    for mark, character in _UNESCAPE.items():
        text = text.replace(mark, character)
    return text


def same_account_root(account: str) -> str:
    """The ARN by which policies name a whole account."""
    return f"arn:aws:iam::{account}:root"


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Each `*` takes the shortest run to the next fixed piece and keeps it: linear time."""
    first, *rest = [_piece(part) for part in re.split(r"\*+", pattern)]
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def _piece(text: str) -> str:
    return "".join("." if c == "?" else re.escape(_UNESCAPE.get(c, c)) for c in text)
