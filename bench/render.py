"""Messages a second: rendered, built as mail, written to the inbox, handed to a mail server.

The mail server is a child process that takes everything at once, so that what is measured is our
side of the conversation. The yardstick of building is the standard library's EmailMessage.
"""

from __future__ import annotations

import multiprocessing
import socket
import socketserver
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tailorbird import settings
from tailorbird.channels import Channels, Message, send_batch
from tailorbird.channels.mime import Envelope
from tailorbird.clock import SystemClock
from tailorbird.engage.render import Compiled, Rendered, compile_message

ROUNDS, BATCH, ENDPOINTS = 3, 50, 2_000
MESSAGE = {
    "Title": "{{User.UserAttributes.FirstName}}, picked for you",
    "HtmlBody": "<h1>Hello {{User.UserAttributes.FirstName}}</h1>"
    "<p>You have {{Attributes.Points}} points.</p><ul>{{#each Recommendations.Names}}"
    '<li><a href="https://shop.example/{{this}}">{{this}}</a></li>{{/each}}</ul>'
    + "<p>Terms and conditions apply.</p>"
    * 40,
    "Body": "Hello {{User.UserAttributes.FirstName}},\n\nyou have {{Attributes.Points}} points. "
    "Today: {{Recommendations.Names.[0]}} and {{Recommendations.Names.[1]}}.\n",
}


def main() -> None:
    compiled = compile_message(MESSAGE, defaults={"User.UserAttributes.FirstName": "there"})
    people = [person(n) for n in range(ENDPOINTS)]
    rendered = [r for r in compiled.render(people) if isinstance(r, Rendered)]
    mails = [message(n, r) for n, r in enumerate(rendered)]

    print(f"first render of a new thread  {first_render(compiled, people):8.1f} ms")
    one = show("render, 1 thread", lambda: render_all(compiled, people))
    with ThreadPoolExecutor(2) as threads:
        in_threads(threads, compiled, people)
        two = show("render, 2 threads", lambda: in_threads(threads, compiled, people))
    print(f"{'':<30}x{two / one:.1f}")
    ours = show("build mail", lambda: build_all(mails))
    theirs = show("build mail by EmailMessage", lambda: [build_plainly(m) for m in mails])
    print(f"{'':<30}x{ours / theirs:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        room = Channels(None, SystemClock(), settings.load({"data": folder}, {}))
        show("into the inbox", lambda: send_all(room, mails))
        show("render and into the inbox", lambda: render_and_send(room, compiled, people))
    with TakeAll() as url:
        room = Channels(None, SystemClock(), settings.load({"smtp_url": url}, {}))
        show("to a mail server", lambda: send_all(room, mails))
        show("render and to a mail server", lambda: render_and_send(room, compiled, people))
        room.stop()
        with tempfile.TemporaryDirectory() as folder:
            room = Channels(None, SystemClock(), settings.load(with_everything(url, folder), {}))
            show("the same, with DKIM and links", lambda: render_and_send(room, compiled, people))
            room.stop()


def with_everything(url: str, folder: str) -> dict[str, Any]:
    """Settings that sign (RSA, 2048 bits), and add links out and return paths."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = Path(folder) / "dkim.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return {
        "smtp_url": url, "data": folder, "dkim_keys": f"example.org=s1:{file}",
        "public_url": "https://mail.example.org", "bounce_address": "bounces@example.org",
    }  # fmt: skip


def show(name: str, work: Callable[[], object]) -> float:
    """Messages a second, the median of the rounds."""

    def one_round() -> float:
        start = time.perf_counter()
        work()
        return ENDPOINTS / (time.perf_counter() - start)

    rate = statistics.median(one_round() for _ in range(ROUNDS))
    print(f"{name:<30}{rate:8,.0f} /s   {1e6 / rate:6.1f} us")
    return rate


def person(n: int) -> dict[str, Any]:
    return {
        "Id": f"e{n}",
        "Address": f"p{n}@example.com",
        "ChannelType": "EMAIL",
        "EndpointStatus": "ACTIVE",
        "OptOut": "NONE",
        "Attributes": {"Points": [str(n)], "Interests": ["cooking", "garden"]},
        "Demographic": {"Locale": "en_US", "Timezone": "Europe/Rome"},
        "User": {"UserId": f"u{n}", "UserAttributes": {"FirstName": [f"Ann{n}"]}},
        "Recommendations": {"Names": ["Pasta pot", "Apron & gloves"]},
    }


def message(n: int, rendered: Rendered) -> Message:
    return Message(
        id=f"m{n}",
        application_id="bench",
        channel_type="EMAIL",
        address=f"p{n}@example.com",
        campaign_id="bench",
        from_address="Shop <shop@example.org>",
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
    )


def render_all(compiled: Compiled, people: list[dict[str, Any]]) -> None:
    for start in range(0, len(people), BATCH):
        compiled.render(people[start : start + BATCH])


def in_threads(
    threads: ThreadPoolExecutor, compiled: Compiled, people: list[dict[str, Any]]
) -> None:
    halves = (people[: len(people) // 2], people[len(people) // 2 :])
    list(threads.map(lambda half: render_all(compiled, half), halves))


def first_render(compiled: Compiled, people: list[dict[str, Any]]) -> float:
    times: list[float] = []

    def work() -> None:
        start = time.perf_counter()
        compiled.render(people[:1])
        times.append((time.perf_counter() - start) * 1000)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return times[0]


def build_all(mails: list[Message]) -> None:
    for start in range(0, len(mails), BATCH):
        envelope = Envelope(time.time())
        for mail in mails[start : start + BATCH]:
            envelope.build(mail)


def build_plainly(mail: Message) -> bytes:
    built = EmailMessage()
    built["From"] = mail.from_address
    built["To"] = mail.address
    built["Subject"] = mail.subject
    built.set_content(mail.text)
    built.add_alternative(mail.html, subtype="html")
    return built.as_bytes()


def send_all(room: Channels, mails: list[Message]) -> None:
    for start in range(0, len(mails), BATCH):
        send_batch(room, "EMAIL", mails[start : start + BATCH])


def render_and_send(room: Channels, compiled: Compiled, people: list[dict[str, Any]]) -> None:
    for start in range(0, len(people), BATCH):
        batch = compiled.render(people[start : start + BATCH])
        mails = [message(start + n, r) for n, r in enumerate(batch) if isinstance(r, Rendered)]
        send_batch(room, "EMAIL", mails)


class TakeAll:
    """A mail server in a child process that says yes to everything."""

    def __enter__(self) -> str:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.Process(target=_serve, args=(sender,), daemon=True)
        self._process.start()
        return f"smtp://127.0.0.1:{receiver.recv()}?starttls=never"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


class _Conversation(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"220 bench\r\n")
        rest, in_mail = b"", False
        while data := connection.recv(262_144):
            rest += data
            if in_mail:
                if rest.endswith(b"\r\n.\r\n"):
                    rest, in_mail = b"", False
                    connection.sendall(b"250 taken\r\n")
            elif rest.endswith(b"\r\n"):
                replies = [_reply(line) for line in rest.upper().splitlines()]
                in_mail, rest = replies[-1].startswith(b"354"), b""
                connection.sendall(b"".join(replies))


def _reply(command: bytes) -> bytes:
    if command.startswith(b"EHLO"):
        return b"250-bench\r\n250 PIPELINING\r\n"
    return b"354 go on\r\n" if command.startswith(b"DATA") else b"250 bench\r\n"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def _serve(ready: Any) -> None:
    with _Server(("127.0.0.1", 0), _Conversation) as server:
        ready.send(server.server_address[1])
        server.serve_forever()


if __name__ == "__main__":
    main()
