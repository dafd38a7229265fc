"""Internet messages (RFC 5322, MIME) as bytes, quickly.

The headers that one batch has in common are written once; each message then costs a few string
joins. Bodies are always quoted-printable, so every line is short, plain ASCII, and can never
contain the boundary (which starts with `=_`).
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from tailorbird.channels.messages import Message
from tailorbird.errors import Invalid

LOCAL_PART_MAX = 64  # octets, RFC 5321 4.5.3.1.1
ADDRESS_MAX = 254  # octets, RFC 3696 erratum 1690
LINE_GOAL = 78  # characters, RFC 5322 2.1.1: a line should not be longer
LINE_MAX = 998  # and must not be longer than this
ENCODED_WORD_OCTETS = 42  # 56 base64 characters and 12 around them stay below 75

ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LOCAL_PART = re.compile(rf'(?:{ATEXT}(?:\.{ATEXT})*|"(?:[ !#-\[\]-~]|\\[ -~])*")\Z')
DOMAIN_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
DOMAIN_LITERAL = re.compile(r"\[[!-Z^-~]+\]\Z")
PHRASE = re.compile(rf"{ATEXT}(?: {ATEXT})*\Z")
HEADER_NAME = re.compile(r"[!-9;-~]{1,76}\Z")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=")
SINGLE_SPACE = re.compile(r"(?<=\S) (?=\S)")
NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]")

LINE_END = re.compile(rb"\r\n|\r|\n")
FOLD = re.compile(rb"\r\n(?=[ \t])")
NOT_PASSED_ON = ("bcc", "resent-bcc", "return-path")  # of a mail that came whole

# Written by us, or a way to add recipients: a customer's headers may not set them.
RESERVED_HEADERS = {
    *("from", "sender", "to", "cc", "bcc", "subject", "date", "message-id"),
    *("mime-version", "content-type", "content-transfer-encoding"),
    *("return-path", "received", "dkim-signature"),
}


def check_address(address: str) -> str:
    """The addr-spec in the form that goes on the wire; Invalid says what is wrong with it."""
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise Invalid(f"{address!r} is not an email address; it has the form name@example.com")
    if not address.isascii():
        domain = _ascii_domain(address, domain)
    if len(local) > LOCAL_PART_MAX or len(local) + len(domain) + 1 > ADDRESS_MAX:
        raise Invalid(f"{address[:80]!r}... is longer than an email address may be")
    if not LOCAL_PART.match(local):
        raise Invalid(f"{address!r} is not an email address: {local!r} may not stand before the @")
    if not _is_domain(domain):
        raise Invalid(f"{address!r} is not an email address: {domain!r} is not a domain")
    return f"{local}@{domain}"


@lru_cache(maxsize=1024)
def check_sender(sender: str) -> tuple[str, str]:
    """(the From header, the bare address) of `a@b` or `Name <a@b>`; Invalid when it is neither."""
    _refuse_control_characters("the from address", sender)
    name, address = parseaddr(sender)
    if not address:
        raise Invalid(f"{sender!r} is not a from address; use name@example.com or Name <name@...>")
    bare = check_address(address)
    if not name:
        return bare, bare
    if not name.isascii():
        return f"{_encoded_words(name)} <{bare}>", bare
    return f"{_phrase(name)} <{bare}>", bare


class Envelope:
    """Builds the messages of one batch: what they share is written once."""

    def __init__(self, now: float) -> None:
        self._date = format_datetime(datetime.fromtimestamp(int(now), UTC))
        self._heads: dict[str, tuple[str, str, str]] = {}

    def build(
        self, message: Message, extra: Mapping[str, str] | None = None
    ) -> tuple[str, str, bytes]:
        """(sender, recipient, the message as bytes); Invalid when any part of it is not mail."""
        recipient = check_address(message.address)
        if message.raw:
            return self._raw(message, recipient, extra or {})
        if not message.html and not message.text:
            raise Invalid("There is no text and no HTML to send")
        sender, head, domain = self._head(message.from_address)
        lines = [
            head,
            f"To: {recipient}\r\n",
            f"Message-ID: <{_id(message.id)}@{domain}>\r\n",
            f"Subject: {header_value('Subject', message.subject.strip())}\r\n",
        ]
        for name, value in _headers(message.headers, extra or {}).items():
            lines.append(f"{header_name(name)}: {header_value(name, value)}\r\n")
        lines.append(_body(message))
        return sender, recipient, "".join(lines).encode("ascii")

    def _raw(
        self, message: Message, recipient: str, extra: Mapping[str, str]
    ) -> tuple[str, str, bytes]:
        """A mail that came whole: its own headers and body, and what every mail has to have."""
        fields, body = _raw_fields(message.raw)
        sender, _, domain = self._head(fields.get("from") or message.from_address)
        needed = {
            "From": check_sender(message.from_address)[0] if "from" not in fields else "",
            "To": recipient if "to" not in fields else "",
            "Date": self._date if "date" not in fields else "",
            "Message-ID": f"<{_id(message.id)}@{domain}>" if "message-id" not in fields else "",
            **{name: value for name, value in extra.items() if name.lower() not in fields},
        }
        added = "".join(
            f"{name}: {header_value(name, value)}\r\n" for name, value in needed.items() if value
        )
        return sender, recipient, added.encode("ascii") + body

    def _head(self, from_address: str) -> tuple[str, str, str]:
        """(the bare sender, the headers all its mails begin with, its domain)."""
        if from_address not in self._heads:
            header, bare = check_sender(from_address)
            head = f"From: {header}\r\nDate: {self._date}\r\nMIME-Version: 1.0\r\n"
            self._heads[from_address] = (bare, head, bare.rpartition("@")[2])
        return self._heads[from_address]


def header_name(name: str) -> str:
    if not HEADER_NAME.match(name):
        raise Invalid(f"{name!r} is not a header name (RFC 5322 2.2)")
    if name.lower() in RESERVED_HEADERS:
        raise Invalid(f"The header {name} is written by the channel and cannot be set")
    return name


def header_value(name: str, value: str) -> str:
    """The value as it stands in a header: encoded when not ASCII, folded when long."""
    if CONTROL.search(value):
        _refuse_control_characters(f"the header {name}", value)
    if value.isascii() and not ENCODED_WORD.search(value):
        if len(name) + 2 + len(value) <= LINE_GOAL:
            return value
        lines = _folded(name, value)
        if max(map(len, lines)) + len(name) + 2 <= LINE_MAX:
            return "\r\n ".join(lines)
    return _encoded_words(value)


def _headers(own: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The message's own headers, and those of `extra` that it does not set itself."""
    names = {name.lower() for name in own}
    return {**own, **{name: text for name, text in extra.items() if name.lower() not in names}}


def _raw_fields(raw: bytes) -> tuple[dict[str, str], bytes]:
    """Its headers by name in lower case, and the mail as it goes out: CRLF, nobody in copy."""
    whole = LINE_END.sub(b"\r\n", raw)
    head, gap, body = whole.partition(b"\r\n\r\n")
    if not gap:
        raise Invalid("RawEmail is not a mail: headers, an empty line, a body (RFC 5322)")
    fields, lines = {}, []
    for line in FOLD.sub(b"\0", head).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or not HEADER_NAME.match(name.decode("ascii", "replace").strip()):
            raise Invalid(f"RawEmail has a line that is no header: {line[:60]!r}")
        key = name.decode("ascii").strip().lower()
        if key in NOT_PASSED_ON:
            continue
        fields[key] = value.replace(b"\0", b"").decode("utf-8", "replace").strip()
        lines.append(line.replace(b"\0", b"\r\n"))
    longest = max(map(len, whole.split(b"\r\n")))
    if longest > LINE_MAX:
        raise Invalid(f"RawEmail has a line of {longest} bytes; {LINE_MAX} are the most (RFC 5322)")
    end = b"" if body.endswith(b"\r\n") else b"\r\n"
    return fields, b"\r\n".join(lines) + gap + body + end


def _body(message: Message) -> str:
    if message.html and message.text:
        boundary = f"=_{_id(message.id)}"[:70]
        return (
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
            f"--{boundary}\r\n{_part('plain', message.text)}\r\n"
            f"--{boundary}\r\n{_part('html', message.html)}\r\n"
            f"--{boundary}--\r\n"
        )
    if message.html:
        return _part("html", message.html) + "\r\n"
    return _part("plain", message.text) + "\r\n"


def _part(kind: str, content: str) -> str:
    return (
        f"Content-Type: text/{kind}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{quoted_printable(content)}"
    )


def quoted_printable(content: str) -> str:
    """RFC 2045 6.7, with CRLF line ends whatever the source had."""
    unix = content.replace("\r\n", "\n").replace("\r", "\n")
    encoded = binascii.b2a_qp(unix.encode("utf-8", "replace"), istext=True)
    return encoded.decode("ascii").replace("\n", "\r\n")


def _phrase(name: str) -> str:
    if PHRASE.match(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _id(message_id: str) -> str:
    """The message id inside a Message-ID: RFC 5322 dot-atom characters only."""
    return NOT_IN_ID.sub("_", message_id)


def _encoded_words(value: str) -> str:
    """RFC 2047: UTF-8 in base64, each word at most 75 characters and whole characters."""
    words, piece, size = [], "", 0
    for character in value:
        octets = len(character.encode("utf-8", "replace"))
        if size + octets > ENCODED_WORD_OCTETS:
            words.append(piece)
            piece, size = "", 0
        piece, size = piece + character, size + octets
    words.append(piece)
    coded = (b64encode(word.encode("utf-8", "replace")).decode("ascii") for word in words)
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in coded)


def _folded(name: str, value: str) -> list[str]:
    """Lines of the value, broken at single spaces (which become the fold's own)."""
    lines, room = [""], LINE_GOAL - len(name) - 2
    for word in SINGLE_SPACE.split(value):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
            room = LINE_GOAL - 1
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def _refuse_control_characters(what: str, value: str) -> None:
    if CONTROL.search(value):
        raise Invalid(
            f"There is a line break or control character in {what} ({value[:60]!r}); "
            "it would let the value write headers of its own"
        )


def _ascii_domain(address: str, domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise Invalid(f"{address!r} is not an email address: {domain!r} is not a domain") from None


def _is_domain(domain: str) -> bool:
    if domain.startswith("["):
        return bool(DOMAIN_LITERAL.match(domain))
    return all(DOMAIN_LABEL.match(label) for label in domain.split("."))
