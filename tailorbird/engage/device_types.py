"""What kind of device an endpoint is on: said by its Make, Model and Platform.

A choice: Pinpoint's API has the dimension DeviceType, but no field of an endpoint that holds one,
and no document says what it is matched with. So the words people use for devices are understood,
and the first sign below that fits tells the device. What carries no sign has no device type.
"""

from __future__ import annotations

import re
from typing import Any

from tailorbird.errors import Invalid

# In the order they are looked for: an iPad says iOS too, an Android TV says Android.
SIGNS = (
    ("watch", re.compile(r"watch|wear ?os")),
    ("tv", re.compile(r"\btv|tv\b|tvos|appletv|roku|webos|tizen|\baft\w")),
    ("tablet", re.compile(r"ipad|tablet|\btab\b|kindle|\bkf[a-z]{2,}|\bsm-[tx]\d")),
    (
        "phone",
        re.compile(
            r"phone|ipod|\bios\b|android|pixel|blackberry|\bsm-[aefgjmns]\d|linux (arm|aarch)"
        ),
    ),
    ("desktop", re.compile(r"mac|os ?x\b|win(dows|32|64)|linux|ubuntu|cros|chrome ?os|\bpc\b")),
)
WORDS = {
    "phone": ("phone", "mobile", "smartphone", "mobile phone", "handset"),
    "tablet": ("tablet",),
    "desktop": ("desktop", "computer", "pc", "laptop"),
    "tv": ("tv", "television", "smart tv"),
    "watch": ("watch", "smartwatch", "wearable"),
}
TYPES = {word: kind for kind, words in WORDS.items() for word in words}


def of(demographic: dict[str, Any]) -> str | None:
    """The type of the device with this Demographic; None when nothing says it."""
    said = " ".join(str(demographic.get(name) or "") for name in ("Platform", "Model", "Make"))
    text = said.lower()
    return next((kind for kind, sign in SIGNS if sign.search(text)), None)


def named(values: list[str]) -> list[str]:
    """The types that a dimension's values name; Invalid for a word that names none."""
    for value in values:
        if value.strip().lower() not in TYPES:
            right = ", ".join(TYPES)
            raise Invalid(f"Demographic.DeviceType: {value!r} names no device; right are {right}")
    return [TYPES[value.strip().lower()] for value in values]
