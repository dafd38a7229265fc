"""What mail servers and mailbox providers report about a mail: bounces and complaints. Pure.

Sources: RFC 3464 (delivery status), RFC 3463 (status codes), RFC 5965 (abuse reports).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser, HeaderParser
from email.utils import getaddresses
from typing import Any

from tailorbird.channels.feedback import COMPLAINT, DELIVERED, HARD_BOUNCE, SOFT_BOUNCE
from tailorbird.errors import Invalid

ORIGIN_HEADER = "X-Tailorbird-Origin"
ACTIONS = {"failed": "", "delivered": DELIVERED, "relayed": DELIVERED}
# 5.x.x that say nothing about the address: mailbox full, too large, system or policy reasons.
SOFT_CODES = re.compile(r"5\.(?:2\.[1-4]|3\.\d+|4\.\d+|7\.\d+)\Z")
COMPLAINTS = ("abuse", "fraud", "virus", "other", "opt-out", "opt-out-list")
RETURN_PATH = re.compile(r"\+(?P<id>[A-Za-z0-9_.-]+)-(?P<mac>[0-9a-f]{10})\Z")


@dataclass(frozen=True)
class Report:
    """What happened to a mail at one address."""

    kind: str
    address: str
    words: str
    origin: str = ""  # the signed origin that the mail carried, where the report shows it
    message_id: str = ""  # of a return path,
    mark: str = ""  # with our mark on it


def parse(raw: bytes) -> list[Report]:
    """What a mail reports, one entry an address; Invalid when it is no report."""
    mail: Any = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)
    if mail.get_content_type() == "multipart/report" and isinstance(mail.get_payload(), list):
        parts = list(mail.walk())
        origin = _origin(parts)
        for part in parts:
            kind = part.get_content_type()
            if kind == "message/delivery-status":
                return list(_bounces(mail, part, origin))
            if kind == "message/feedback-report":
                return list(_complaints(mail, part, parts, origin))
    raise Invalid("The mail is neither a delivery status (RFC 3464) nor a complaint (RFC 5965)")


def _bounces(mail: Message, part: Message, origin: str) -> Iterator[Report]:
    message_id, mark = _return_path(str(mail.get("To") or ""))
    blocks = part.get_payload()
    for block in blocks if isinstance(blocks, list) else []:
        if not isinstance(block, Message):
            continue
        action = str(block.get("Action") or "").strip().lower()
        address = _address(str(block.get("Original-Recipient") or block.get("Final-Recipient")))
        if action not in ACTIONS or not address:
            continue  # the headers of the whole report, or a delay: nothing final
        code = str(block.get("Status") or "").split(" ")[0].strip()
        said = str(block.get("Diagnostic-Code") or "").partition(";")[2].strip()
        words = " ".join(f"{code} {said}".split())
        yield Report(ACTIONS[action] or _bounce(code), address, words, origin, message_id, mark)


def _complaints(
    mail: Message, part: Message, parts: list[Message], origin: str
) -> Iterator[Report]:
    fields = _nested(part)
    kind = str(fields.get("Feedback-Type") or "").strip().lower()
    if kind not in COMPLAINTS:
        return  # not-spam: the opposite
    to = fields.get("Original-Rcpt-To") or _original(parts, "To") or ""
    message_id, mark = _return_path(str(fields.get("Original-Mail-From") or ""))
    agent = str(fields.get("User-Agent") or "a mailbox provider").strip()
    for _, address in getaddresses([str(to)]):
        if address:
            yield Report(COMPLAINT, address, f"{kind}, {agent}", origin, message_id, mark)


def _bounce(code: str) -> str:
    return HARD_BOUNCE if code.startswith("5") and not SOFT_CODES.match(code) else SOFT_BOUNCE


def _address(field: str) -> str:
    """The address of `rfc822; ana@example.com`."""
    return field.partition(";")[2].strip().strip("<>")


def _return_path(field: str) -> tuple[str, str]:
    """(message id, mark) of bounces+<id>-<mark>@domain."""
    for _, address in getaddresses([field]):
        found = RETURN_PATH.search(address.rpartition("@")[0])
        if found:
            return found["id"], found["mac"]
    return "", ""


def _origin(parts: list[Message]) -> str:
    return "".join(str(_original(parts, ORIGIN_HEADER) or "").split())


def _original(parts: list[Message], name: str) -> str | None:
    """A header of the mail that the report is about, which is in it whole or as headers only."""
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/rfc822" and _nested(part).get(name):
            return str(_nested(part)[name])
        if kind == "text/rfc822-headers":
            found = HeaderParser().parsestr(str(part.get_payload(decode=False))).get(name)
            if found:
                return str(found)
    return None


def _nested(part: Message) -> Message:
    """The message inside a message/... part."""
    payload = part.get_payload()
    first = payload[0] if isinstance(payload, list) and payload else part
    return first if isinstance(first, Message) else part
