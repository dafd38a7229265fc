"""Open and click tracking: a pixel and rewritten links in the HTML of a mail, each of them signed.

The address a click leads to stands inside the signature, so the house redirects to nothing it has
not sent itself. A link with `ses:no-track` is left alone, as Amazon SES does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from html import escape, unescape
from typing import NamedTuple

import orjson
from msgspec.structs import replace

from tailorbird.channels import origins
from tailorbird.channels.messages import Message
from tailorbird.channels.origins import Origin
from tailorbird.channels.room import Channels
from tailorbird.errors import Denied

PURPOSE = "link"
MAC_BYTES = 12
SUBJECT_CHARS = 80  # kept in a link
OPEN_PATH, CLICK_PATH = "/_/open", "/_/click"
TRACKING, OFF = "Tracking", "off"  # of a message's data
# A tag ends before the next "<", so that however broken a mail is, it is read once.
LINK = re.compile(r"<a\b((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>", re.IGNORECASE)
HREF = re.compile(r"(?<![\w-])href\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
NO_TRACK = re.compile(r"\s?\bses:no-track(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+))?", re.IGNORECASE)
END = re.compile(r"</body\s*>", re.IGNORECASE)
WEB = ("http://", "https://")


class Hit(NamedTuple):
    """What a pixel or link knows of its mail."""

    origin: Origin
    sent: float
    sender: str
    subject: str
    url: str  # empty: the pixel


def tracked(room: Channels, message: Message, now: float) -> Message:
    """The mail with its links and pixel; itself when nothing is to be tracked."""
    settings = room.settings
    if not (settings.public_url and settings.email_tracking and message.html):
        return message
    if message.raw or message.data.get(TRACKING) == OFF:
        return message
    signer = _Signer(room, message, now)
    html = LINK.sub(signer.link, message.html)
    pixel = f'<img src="{signer.address(OPEN_PATH, "")}" width="1" height="1" alt="">'
    at = max((found.start() for found in END.finditer(html)), default=len(html))
    return replace(message, html=f"{html[:at]}{pixel}{html[at:]}")


def read(room: Channels, token: str) -> Hit:
    """What a signed token says; Denied when it was not signed here."""
    plain_text, _, mac_text = token.partition(".")
    try:
        plain, mac = origins.raw_of(plain_text), origins.raw_of(mac_text)
        if hmac.compare_digest(mac, _mac(room.key(PURPOSE), plain)):
            origin, sent, sender, subject, url = orjson.loads(plain)
            return Hit(Origin(*origin), sent, sender, subject, url)
    except ValueError:
        pass
    raise Denied("The link is damaged, or was not made by this house")


class _Signer:
    """Signs the links of one mail."""

    def __init__(self, room: Channels, message: Message, now: float) -> None:
        self.key = room.key(PURPOSE)
        self.public = room.settings.public_url.rstrip("/")
        about = [list(origins.of(message)), round(now, 3), message.from_address,
                 message.subject[:SUBJECT_CHARS]]  # fmt: skip
        self.head = orjson.dumps(about)[:-1] + b","

    def address(self, path: str, url: str) -> str:
        plain = self.head + orjson.dumps(url) + b"]"
        mac = _mac(self.key, plain)
        return f"{self.public}{path}/{origins.text_of(plain)}.{origins.text_of(mac)}"

    def link(self, found: re.Match[str]) -> str:
        attributes = found[1]
        if NO_TRACK.search(attributes):
            return NO_TRACK.sub("", found[0])
        href = HREF.search(attributes)
        if href is None:
            return found[0]
        before, rest = attributes[: href.start()], attributes[href.end() :]
        url = unescape(href[1] if href[1] is not None else href[2]).strip()
        if not url.lower().startswith(WEB) or url.startswith(f"{self.public}/_/"):
            return found[0]
        try:
            signed = self.address(CLICK_PATH, url)
        except (TypeError, UnicodeError):
            return found[0]  # it holds half a character
        return f'<a{before}href="{escape(signed)}"{rest}>'


def _mac(key: bytes, plain: bytes) -> bytes:
    return hmac.new(key, plain, hashlib.sha256).digest()[:MAC_BYTES]
