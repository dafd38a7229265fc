"""Delivery (being built)."""

from __future__ import annotations

from typing import Any


class Delivery:
    def __init__(self, room: Any) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
