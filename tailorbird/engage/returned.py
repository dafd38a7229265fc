"""What a function returned of an endpoint, as endpoints are kept: text and lists of text."""

from __future__ import annotations

from typing import Any

from tailorbird.engage.definitions import as_text

ADDRESS_TEXT_PARTS = ("Address", "ChannelType", "OptOut", "EndpointStatus")
Definition = dict[str, Any]


def textual(endpoint: Definition) -> Definition:
    """A definition from a hook in the stored form: lists of text, whatever the function put there.

    It is changed where it is: nobody else has it.
    """
    for name in ADDRESS_TEXT_PARTS:
        value = endpoint.get(name)
        if value is not None and type(value) is not str:
            endpoint[name] = as_text(value)
    if endpoint.get("Attributes"):
        _make_texts(endpoint["Attributes"])
    user = endpoint.get("User") or {}
    if isinstance(user.get("UserAttributes"), dict):
        _make_texts(user["UserAttributes"])
    return endpoint


def _make_texts(attributes: dict[str, Any]) -> None:
    other = [
        (name, value)
        for name, value in attributes.items()
        if not (type(value) is list and len(value) == 1 and type(value[0]) is str)
    ]
    for name, value in other:
        if value is None:
            del attributes[name]
        else:
            attributes[name] = _list_of_text(value)


def _list_of_text(value: Any) -> list[str]:
    return [as_text(one) for one in (value if isinstance(value, list) else [value])]
