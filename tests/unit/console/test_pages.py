"""The console: who may look, what an empty and a busy house show, and how a mail is shown."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any

import pytest

from tailorbird import console
from tailorbird.clock import SystemClock
from tailorbird.functions import Functions
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs

TOKEN = "the-token"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture
def house(db: Database, jobs: Jobs, settings: Settings) -> Any:
    """What the console reads: real parts, without the rooms' running sides."""
    settings.data.mkdir(parents=True)
    (settings.data / "api_token").write_text(TOKEN)
    clock = SystemClock()
    functions = Functions(db, jobs, None, clock, settings, None)  # type: ignore[arg-type]
    return SimpleNamespace(
        db=db,
        jobs=jobs,
        settings=settings,
        clock=clock,
        functions=functions,
        engage=SimpleNamespace(db=db),
    )


def ask(house: Any, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """One request to the console's ASGI application."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[dict[str, Any]] = []
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(given, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(console.app(house)(scope, receive, send))
    start = next(m for m in sent if m["type"] == "http.response.start")
    content = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
    return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, content)


def come_in(house: Any, path: str = "/", **more: Any) -> Answer:
    return ask(house, path, authorization=f"Bearer {TOKEN}", **more)


def put_mail(settings: Settings, name: str = "m1", html: str = "<p>Hello Ana</p>") -> str:
    mail = EmailMessage()
    mail["Subject"] = "Picked <for> you"
    mail["To"] = "ana@example.com"
    mail.set_content("Hello Ana")
    mail.add_alternative(html, subtype="html")
    folder = settings.data / "inbox" / "app" / "campaign"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.eml").write_bytes(bytes(mail))
    return f"app/campaign/{name}.eml"


@pytest.mark.parametrize(
    "path", ["/", "/console/loop", "/console/jobs", "/console/inbox", "/console/inbox/a/b/c.eml"]
)
@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"cookie": "tailorbird_console=wrong"}],
    ids=["nothing", "wrong token", "wrong cookie"],
)
def test_nobody_looks_without_the_token(house: Any, path: str, headers: dict[str, str]) -> None:
    answer = ask(house, path, **headers)
    assert (answer.status, answer.headers["location"]) == (303, "/console/login")
    assert answer.body == b""


def test_a_fragment_without_the_token_sends_the_page_to_the_login(house: Any) -> None:
    answer = ask(house, "/console/loop", hx_request="true")
    assert (answer.status, answer.headers["hx-redirect"]) == (401, "/console/login")


def test_the_link_with_the_token_leaves_a_cookie_and_no_token_in_the_address(house: Any) -> None:
    answer = ask(house, f"/console/inbox?a=1&token={TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/console/inbox?a=1")
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert ask(house, "/", cookie=cookie.partition(";")[0]).status == 200


def test_the_login_takes_the_token_and_nothing_else(house: Any) -> None:
    right = ask(house, "/console/login", method="POST", body=f"token={TOKEN}".encode())
    wrong = ask(house, "/console/login", method="POST", body=b"token=guess")
    assert (right.status, right.headers["location"]) == (303, "/")
    assert wrong.status == 403
    assert "set-cookie" not in wrong.headers


def test_an_empty_house_is_shown_as_such(house: Any) -> None:
    page = come_in(house)
    assert page.status == 200
    for said in ("No campaign has run yet", "Nothing is running", "No mail has left yet"):
        assert said in page.text
    for room in ("Collect", "Prepare", "Learn", "Functions", "People", "Messages", "Engage"):
        assert f">{room}<" in page.text


def test_pages_run_no_foreign_script_and_cannot_be_framed(house: Any) -> None:
    policy = come_in(house).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("file", ["htmx.min.js", "uPlot.iife.min.js", "console.css", "pulse.js"])
def test_scripts_and_styles_come_from_here(house: Any, file: str) -> None:
    assert file in come_in(house).text
    assert ask(house, f"/console/static/{file}").status == 200


def test_a_running_job_is_shown_with_its_progress(house: Any, jobs: Jobs) -> None:
    with jobs.db.write() as conn:
        jobs.enqueue(conn, "learn.train", {})
    [job] = jobs.claim(["default"], "w")
    job.progress(30, 30, "rounds")
    page = come_in(house, "/console/jobs").text
    assert "learn.train" in page
    assert "30 of 30 rounds" in page


def test_what_a_failed_job_said_is_shown_as_text(house: Any, jobs: Jobs) -> None:
    with jobs.db.write() as conn:
        jobs.enqueue(conn, "learn.train", {})
    [job] = jobs.claim(["default"], "w")
    jobs.fail(job, "<script>no bucket</script>", None)
    page = come_in(house, "/console/jobs").text
    assert "&lt;script&gt;no bucket" in page
    assert "<script>" not in page


def test_the_inbox_lists_mails_with_their_subject_as_text(house: Any) -> None:
    put_mail(house.settings)
    page = come_in(house, "/console/inbox").text
    assert "Picked &lt;for&gt; you" in page
    assert "ana@example.com" in page


def test_a_mail_is_shown_in_a_frame_that_may_do_nothing(house: Any) -> None:
    path = put_mail(house.settings, html="<p>Hello</p><script>alert(1)</script>")
    assert '<iframe sandbox src="' in come_in(house, f"/console/inbox/{path}").text
    body = come_in(house, f"/console/inbox/{path}/body")
    assert body.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "path", ["app/campaign/none.eml", "../api_token", "app/../../api_token", "%2e%2e/api_token"]
)
def test_a_mail_that_is_not_there_is_missing_and_no_other_file_is_read(
    house: Any, path: str
) -> None:
    answer = come_in(house, f"/console/inbox/{path}")
    assert answer.status == 404
    assert TOKEN not in answer.text


def test_a_page_that_is_not_there_says_so(house: Any) -> None:
    answer = come_in(house, "/console/nowhere")
    assert answer.status == 404
    assert "no page /console/nowhere" in answer.text
