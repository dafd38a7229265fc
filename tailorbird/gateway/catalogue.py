"""docs/operations.md: every operation of every served service, built or not.

`python -m tailorbird.gateway.catalogue` prints it; a test compares.
"""

from __future__ import annotations

import sys

from tailorbird.gateway.services import SERVICES, Service
from tailorbird.gateway.wire.model import load

INTRODUCTION = """# Operations

Every operation of every AWS service that Tailorbird serves, from the service models of the
installed botocore. An operation that is not built answers HTTP 501 with the code `NotImplemented`
and its name; it never pretends. `make docs` writes this page from the operations tables.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_summary(), *(_section(service) for service in SERVICES)])


def strangers() -> list[str]:
    """Names in the operations tables that the models do not have."""
    return [
        f"{service.key}.{name}"
        for service in SERVICES
        for name in service.table().operations
        if name not in load(service.key).operations
    ]


def _summary() -> list[str]:
    rows = [
        f"| [{_title(s)}](#{_title(s).lower().replace(' ', '-')}) | `{s.key}` | {_built(s)}"
        f" | {len(load(s.key).operations)} |"
        for s in SERVICES
    ]
    return ["| service | client | built | of |", "|---|---|---|---|", *rows, ""]


def _section(service: Service) -> str:
    built = service.table().operations
    names = sorted(load(service.key).operations)
    yes = [f"- [x] {name}" for name in names if name in built]
    rest = [name for name in names if name not in built]
    lines = [f"## {_title(service)}", ""]
    if yes:
        lines += ["Built:", "", *yes, ""]
    if rest:
        lines += [f"Not built: {', '.join(rest)}.", ""]
    return "\n".join(lines)


def _title(service: Service) -> str:
    metadata = load(service.key).metadata
    return str(metadata.get("serviceFullName", service.key)).replace("Simple Storage Service", "S3")


def _built(service: Service) -> int:
    return len(service.table().operations)


if __name__ == "__main__":
    sys.stdout.write(page())
