"""Email: to a mail server when one is configured, else (or also) into the inbox."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping, Sequence

from tailorbird.channels import dkim, links, mime, origins, smtp
from tailorbird.channels.inbox import Inbox, path_of
from tailorbird.channels.messages import (
    PERMANENT_FAILURE,
    SUCCESSFUL,
    TEMPORARY_FAILURE,
    UNKNOWN_FAILURE,
    Message,
    Receipt,
    receipt,
)
from tailorbird.channels.reports import ORIGIN_HEADER
from tailorbird.channels.room import Channels
from tailorbird.errors import Invalid, Unavailable
from tailorbird.settings import Settings

log = logging.getLogger(__name__)
UNSUBSCRIBE_PATH = "/_/unsubscribe"
ONE_CLICK = "List-Unsubscribe=One-Click"  # RFC 8058

# Adds headers to one message, such as List-Unsubscribe.
Headers = Callable[[Message], Mapping[str, str]]


class Email:
    """The email channel."""

    def __init__(self, room: Channels) -> None:
        settings = room.settings
        to_server = settings.smtp_url and not settings.channels_inbox_only
        self._room = room
        self._clock = room.clock
        self._inbox = Inbox(settings.data, fsync=settings.inbox_fsync)
        self._copy_to_inbox = settings.inbox_copy or not to_server
        self._keys = dkim.signers(settings.dkim_keys)
        self._bounces = _bounce_parts(settings.bounce_address)
        self._pool = _pool(settings) if to_server else None
        self.extra_headers: Headers | None = None

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """One receipt for each message, in order; Unavailable when the mail server is away."""
        receipts: list[Receipt | None] = [None] * len(messages)
        envelope = mime.Envelope(self._clock.now())
        mails: list[smtp.Mail] = []
        places: list[int] = []
        for place, message in enumerate(messages):
            try:
                mails.append(self._build(envelope, message))
                places.append(place)
            except Invalid as refusal:
                receipts[place] = receipt(message, PERMANENT_FAILURE, refusal.message)
        for place, answer in zip(places, self._deliver(messages, places, mails), strict=True):
            receipts[place] = answer
        return [answer for answer in receipts if answer is not None]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _build(self, envelope: mime.Envelope, message: Message) -> smtp.Mail:
        if self._copy_to_inbox:
            path_of(self._inbox.root, message)  # refuses ids that cannot name a file
        whole = links.tracked(self._room, message, self._clock.now())
        sender, recipient, content = envelope.build(whole, self._headers(message))
        signer = dkim.signer_for(self._keys, sender.rpartition("@")[2])
        if signer is not None:
            content = signer.header(content, self._clock.now()) + content
        return self._return_path(message) or sender, recipient, content

    def _headers(self, message: Message) -> dict[str, str]:
        """What the house adds: the way out for the person, and whose message a bounce is about."""
        added: dict[str, str] = {}
        origin = origins.sign(self._room, origins.of(message)) if self._needs_origin else ""
        if self._bounces:
            added[ORIGIN_HEADER] = origin
        own = {name.lower() for name in message.headers}
        public = self._room.settings.public_url.rstrip("/")
        if public and message.campaign_id and "list-unsubscribe" not in own:
            added["List-Unsubscribe"] = f"<{public}{UNSUBSCRIBE_PATH}/{origin}>"
            added["List-Unsubscribe-Post"] = ONE_CLICK
        return added | dict(self.extra_headers(message) if self.extra_headers else {})

    @property
    def _needs_origin(self) -> bool:
        return bool(self._bounces or self._room.settings.public_url)

    def _return_path(self, message: Message) -> str:
        """Where a bounce of this message goes; it names the message. Empty: to the sender."""
        if message.return_path:
            return mime.check_address(message.return_path)
        if not self._bounces:
            return ""
        local, domain = self._bounces
        mark = f"{message.id}-{origins.short_mac(self._room, message.id, message.address)}"
        full = f"{local}+{mark}"
        return f"{full if len(full) <= mime.LOCAL_PART_MAX else local}@{domain}"

    def _deliver(
        self, messages: Sequence[Message], places: Sequence[int], mails: Sequence[smtp.Mail]
    ) -> list[Receipt]:
        chosen = [messages[place] for place in places]
        if self._pool is None:
            return [
                receipt(message, SUCCESSFUL, f"In the inbox: {self._keep(message, mail)}")
                for message, mail in zip(chosen, mails, strict=True)
            ]
        replies = self._pool.send(mails) if mails else []
        answers = [_receipt(*pair) for pair in zip(chosen, replies, strict=True)]
        if self._copy_to_inbox:
            for message, mail, answer in zip(chosen, mails, answers, strict=True):
                if answer.status == SUCCESSFUL:
                    self._keep_copy(message, mail)
        return answers

    def _keep_copy(self, message: Message, mail: smtp.Mail) -> None:
        """The mail is sent whatever becomes of the copy: failing here would send it twice."""
        try:
            self._keep(message, mail)
        except Unavailable as error:
            log.warning("No copy of mail %s: %s", message.id, error.message)

    def _keep(self, message: Message, mail: smtp.Mail) -> str:
        path = self._inbox.put(message, mail[2])
        return path.relative_to(self._inbox.root).as_posix()


def _bounce_parts(address: str) -> tuple[str, str] | None:
    if not address:
        return None
    local, _, domain = mime.check_address(address).rpartition("@")
    return local, domain


def _pool(settings: Settings) -> smtp.Pool:
    return smtp.Pool(
        smtp.Server.parse(settings.smtp_url),
        connections=settings.smtp_connections,
        timeout=settings.smtp_timeout_seconds,
        hostname=settings.smtp_hostname or socket.gethostname(),
    )


def _receipt(message: Message, reply: smtp.Reply) -> Receipt:
    if reply.accepted:
        return receipt(message, SUCCESSFUL, f"{reply.code} {reply.words}")
    status = PERMANENT_FAILURE if reply.permanent else TEMPORARY_FAILURE
    if reply.begun:
        status = UNKNOWN_FAILURE
    return receipt(message, status, f"{reply.code or ''} {reply.words}".strip())
