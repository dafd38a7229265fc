"""Prints docs/settings.md from the tables of settings: `make docs`."""

from __future__ import annotations

from collections.abc import Iterable

from tailorbird.settings import ENVIRONMENT_PREFIX, FILE_NAME, GROUPS
from tailorbird.settings.setting import Setting

HEAD = f"""# Settings

A flag of the command beats the environment (`{ENVIRONMENT_PREFIX}NAME`), which beats `{FILE_NAME}`
in the folder where the command is run, which beats the default. `tailorbird settings` prints the
values in force and where each came from.
"""
TABLE = """
| setting | type | default | what it is |
|---|---|---|---|"""


def page() -> str:
    parts = [f"\n## {name}\n{_table(settings)}\n" for name, settings in GROUPS.items()]
    return HEAD + "".join(parts)


def _table(settings: Iterable[Setting]) -> str:
    rows = [
        f"| `{s.name}` | {s.type.__name__.lower()} | {_default(s.default)} | {s.help} |"
        for s in settings
    ]
    return "\n".join([TABLE, *rows])


def _default(value: object) -> str:
    return f"`{value}`" if str(value) else ""


if __name__ == "__main__":
    print(page(), end="")
