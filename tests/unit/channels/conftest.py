"""A real mail server in the same process, which can refuse, hang up, go away and come back."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tailorbird.channels import Channels, Message
from tailorbird.clock import TestClock
from tailorbird.settings import Settings
from tailorbird.store import Database
from tests.conftest import free_port
from tests.unit.channels.providers import Apple, Provider

OpenRoom = Callable[..., Channels]
NOON = 1_600_513_200.0  # Sat, 19 Sep 2020 11:00:00 +0000


@dataclass
class Sink:
    """What the server answers, and what it has taken."""

    port: int
    taken: list[Envelope] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)  # recipient -> reply to RCPT
    data_answers: dict[str, str] = field(default_factory=dict)  # recipient -> reply to the mail
    connections: int = 0
    most_connections: int | None = None
    hang_up_after: int | None = None  # mails on one connection
    controller: Controller | None = None
    options: dict[str, Any] = field(default_factory=dict)
    pipelining: bool = True

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.controller = Controller(
            Answers(self), hostname="127.0.0.1", port=self.port, server_hostname="sink",
            **self.options,
        )  # fmt: skip
        self.controller.start()

    def stop(self) -> None:
        if self.controller is not None:
            self.controller.stop(no_assert=True)
            self.controller = None

    def recipients(self) -> list[str]:
        return [recipient for envelope in self.taken for recipient in envelope.rcpt_tos]


class Answers:
    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        self.sink.connections += 1
        if self.sink.most_connections and self.sink.connections > self.sink.most_connections:
            assert server.transport is not None
            server.transport.close()
        session.host_name = hostname
        return [
            *responses[:-1],
            *(["250-PIPELINING"] if self.sink.pipelining else []),
            responses[-1],
        ]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.sink.answers.get(address) == "hang":
            await asyncio.sleep(30)
        if address in self.sink.answers:
            return self.sink.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.sink.data_answers.get(envelope.rcpt_tos[0], "250 taken")
        if answer == "hang":
            await asyncio.sleep(30)
        if answer == "drop":
            assert server.transport is not None
            server.transport.abort()
            return "250 too late"
        if answer.startswith("250"):
            self.sink.taken.append(envelope)
        if self.sink.hang_up_after and len(self.sink.taken) % self.sink.hang_up_after == 0:
            asyncio.get_running_loop().call_soon(server.transport.close)
        return answer


def only_this_password(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    good = (data.login, data.password) == (b"shop", b"s:cret/")
    return AuthResult(success=good, handled=False)


@pytest.fixture(params=[True, False], ids=["pipelining", "plain"])
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    sink = Sink(free_port(), pipelining=request.param)
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture(scope="session")
def certificate(certificate_files: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody vouches for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_files / "certificate.pem", certificate_files / "key.pem")
    return context


@pytest.fixture(scope="session")
def certificate_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificate.pem, made out to 127.0.0.1, and key.pem."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain
        )
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider().start()
    yield provider
    provider.stop()


@pytest.fixture
def apple(certificate_files: Path) -> Iterator[Apple]:
    apple = Apple(certificate_files / "certificate.pem", certificate_files / "key.pem").start()
    yield apple
    apple.stop()


@pytest.fixture
def stored_room(db: Database, settings: Settings) -> Iterator[OpenRoom]:
    """Opens a room with a database; closed at the end of the test."""
    rooms: list[Channels] = []

    def open_one(**given: Any) -> Channels:
        rooms.append(Channels(db, TestClock(NOON), settings.replace(**given)))
        return rooms[-1]

    yield open_one
    for room in rooms:
        room.stop()


@pytest.fixture
def open_room(settings: Settings) -> Iterator[OpenRoom]:
    """Opens a room with these settings; closed at the end of the test."""
    rooms: list[Channels] = []

    def open_one(**given: Any) -> Channels:
        rooms.append(Channels(None, TestClock(NOON), settings.replace(**given)))
        return rooms[-1]

    yield open_one
    for room in rooms:
        room.stop()


def mail(address: str = "ana@example.com", **fields: Any) -> Message:
    """A mail as the engage room hands it over."""
    return Message(
        **{
            "id": f"id-{address}",
            "application_id": "app1",
            "campaign_id": "camp1",
            "channel_type": "EMAIL",
            "address": address,
            "from_address": "shop@example.org",
            "subject": "Hello",
            "html": "<p>Hello</p>",
            "text": "Hello",
            **fields,
        }
    )
