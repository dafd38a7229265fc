"""Tags as a resource may have them. Source: service model, "TagsModel"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailorbird.errors import Invalid

MAX_TAGS = 50
MAX_NAME_CHARS, MAX_VALUE_CHARS = 128, 256


def checked(tags: Mapping[str, Any] | None) -> dict[str, str]:
    """The tags of a resource; Invalid when there are too many or one is too long."""
    tags = dict(tags or {})
    if len(tags) > MAX_TAGS:
        raise Invalid(f"tags has {len(tags)} tags; {MAX_TAGS} is the limit")
    for name, value in tags.items():
        if not 1 <= len(name) <= MAX_NAME_CHARS or len(value) > MAX_VALUE_CHARS:
            raise Invalid(
                f"tags: {name[:40]!r} has {len(name)} characters and its value {len(value)};"
                f" {MAX_NAME_CHARS} and {MAX_VALUE_CHARS} are the limits"
            )
    return tags
