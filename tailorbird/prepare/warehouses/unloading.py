"""What all unloads share: where to, with which keys, and the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tailorbird.errors import Invalid

HIDDEN = "***"
REASONS = ("no_user_id", "no_item_id", "bad_timestamp")


@dataclass(frozen=True)
class Keys:
    """What a warehouse writes to S3 with: a role, or access keys that may be temporary."""

    access_key: str = "AWS_ACCESS_KEY_ID"
    secret_key: str = "AWS_SECRET_ACCESS_KEY"
    token: str = "AWS_SESSION_TOKEN"
    role: str = ""
    region: str = "<your-region>"

    def hidden(self) -> Keys:
        """The same without what nobody should read in a report."""
        return replace(self, secret_key=HIDDEN, token=HIDDEN if self.token else "")

    def told(self, error: Exception) -> str:
        """An error's text in one line, which may repeat the statement, without the secrets."""
        text = " ".join(str(error).split())
        for mark in (self.secret_key, self.token):
            text = text.replace(mark, HIDDEN) if mark else text
        return text


def report(found: Iterable[tuple[Any, ...]], output: str, engine: str) -> dict[str, Any]:
    """Rows read = kept + rejected by reason, of all tables together and of each."""
    tables, rejected, read = [], dict.fromkeys(REASONS, 0), 0
    for table, rows, *refused in found:
        read += int(rows)
        counted = {name: int(n) for name, n in zip(REASONS, refused, strict=True) if n}
        for name, n in counted.items():
            rejected[name] += n
        tables.append({"table": table, "read": int(rows), "rejected": counted})
    rejected = {name: n for name, n in rejected.items() if n}
    kept = read - sum(rejected.values())
    return {
        "read": read,
        "kept": kept,
        "rejected": rejected,
        "rejected_total": read - kept,
        "tables": tables,
        "output": output,
        "engine": engine,
    }


def s3(output: str) -> str:
    """The address, when it is one in S3 that fits into a statement."""
    if not output.startswith("s3://") or any(mark in output for mark in "'\"\\ ;()\n"):
        raise Invalid(f"output is {output!r}; s3://bucket/key without quotes and spaces is right")
    return output


def secret(text: str, what: str) -> str:
    if any(mark in text for mark in "'\\\n;"):
        raise Invalid(f"{what} holds a quote, a backslash or a semicolon; a key of AWS has none")
    return text
