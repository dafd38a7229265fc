"""Prints docs/settings.md from the table of settings: `make docs`."""

from __future__ import annotations

from tailorbird.settings import ENVIRONMENT_PREFIX, FILE_NAME, SETTINGS

HEAD = f"""# Settings

A flag of the command beats the environment (`{ENVIRONMENT_PREFIX}NAME`), which beats `{FILE_NAME}`
in the folder where the command is run, which beats the default. `tailorbird settings` prints the
values in force and where each came from.

| setting | type | default | what it is |
|---|---|---|---|"""


def page() -> str:
    rows = [
        f"| `{s.name}` | {s.type.__name__.lower()} | {_default(s.default)} | {s.help} |"
        for s in SETTINGS
    ]
    return "\n".join([HEAD, *rows]) + "\n"


def _default(value: object) -> str:
    return f"`{value}`" if str(value) else ""


if __name__ == "__main__":
    print(page(), end="")
