"""The window: read the house at a glance. It shows and never changes anything.

`app(house)` is a Starlette application for `/` and everything under `/console/`.
"""

from tailorbird.console.pages import app

__all__ = ["app"]
