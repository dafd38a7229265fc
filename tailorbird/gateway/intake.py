"""The doors for what comes back about messages, and for people who want no more of them.

POST /_/intake/mail                      a bounce or complaint as it arrived (message/rfc822)
POST /_/intake/sms/receipts[/{token}]    a delivery receipt of the SMS provider
POST /_/intake/sms/inbound[?application=]   an incoming SMS: STOP, START
GET  /_/intake                           the addresses to give to providers
GET  /_/feedback?application=[&after=]   what came back
GET  /_/webhook-secret?application=      what signs an application's webhooks
GET, POST /_/unsubscribe/{token}         the page of a mail's link; one click (RFC 8058)

The intake is open to the bearer token, or to ?key=, or to whoever holds a signed address.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from html import escape
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tailorbird.channels import Channels, feedback, intake
from tailorbird.errors import Denied, Invalid, NotFound, TailorbirdError

PATHS = ("/_/intake", "/_/feedback", "/_/webhook-secret", "/_/unsubscribe/")
BODY_MAX_BYTES = intake.MAIL_MAX_BYTES
FEEDBACK_ROWS = 1000
STATUS: dict[type[TailorbirdError], int] = {Denied: 401, NotFound: 404, Invalid: 400}
STYLE = "font: 18px/1.5 system-ui; max-width: 30em; margin: 4em auto; padding: 0 1em"
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
    f'<title>{{title}}</title><body style="{STYLE}">'
    '<h1 style="font-size: 1.3em">{title}</h1>{body}</body></html>'
)
ASK = (
    "<p>{address}</p><form method='post'>"
    "<button style='font: inherit; padding: .4em 1em'>Unsubscribe</button></form>"
)
Answer = dict[str, Any]


def app(room: Channels, token: str) -> Starlette:
    """The ASGI application."""

    def door(take: Callable[[Channels, Request, bytes], Answer], *, public: bool = False) -> Any:
        async def endpoint(request: Request) -> Response:
            if not public:
                _check_caller(room, token, request)
            body = await _body(request)
            return _json(200, await run_in_threadpool(take, room, request, body))

        return endpoint

    async def unsubscribe(request: Request) -> Response:
        signed = request.path_params["token"]
        return await run_in_threadpool(_unsubscribe, room, request.method, signed)

    return Starlette(
        routes=[
            Route("/_/intake", door(_addresses), methods=["GET"]),
            Route("/_/intake/mail", door(_mail), methods=["POST"]),
            Route("/_/intake/sms/receipts", door(_receipt), methods=["POST"]),
            Route("/_/intake/sms/receipts/{token}", door(_receipt, public=True), methods=["POST"]),
            Route("/_/intake/sms/inbound", door(_text), methods=["POST"]),
            Route("/_/feedback", door(_feedback), methods=["GET"]),
            Route("/_/webhook-secret", door(_secret), methods=["GET"]),
            Route("/_/unsubscribe/{token}", unsubscribe, methods=["GET", "POST"]),
        ],
        exception_handlers={TailorbirdError: _refuse},
    )


def _mail(room: Channels, _request: Request, body: bytes) -> Answer:
    return dict(intake.take_mail(room, body))


def _receipt(room: Channels, request: Request, body: bytes) -> Answer:
    kind = request.headers.get("content-type", "")
    return dict(intake.take_receipt(room, body, kind, request.path_params.get("token")))


def _text(room: Channels, request: Request, body: bytes) -> Answer:
    kind = request.headers.get("content-type", "")
    return intake.take_text(room, body, kind, request.query_params.get("application", ""))


def _addresses(room: Channels, _request: Request, _body: bytes) -> Answer:
    base, key = room.settings.public_url.rstrip("/"), intake.key(room)
    paths = {"mail": "mail", "sms_receipts": "sms/receipts", "sms_inbound": "sms/inbound"}
    return {name: f"{base}/_/intake/{path}?key={key}" for name, path in paths.items()}


def _feedback(room: Channels, request: Request, _body: bytes) -> Answer:
    after = request.query_params.get("after", "0")
    if not after.isdecimal():
        raise Invalid(f"after is {after!r}; the number of the last entry seen is right")
    found = feedback.of_application(room, _application(request), int(after), FEEDBACK_ROWS)
    return {"feedback": found}


def _secret(room: Channels, request: Request, _body: bytes) -> Answer:
    return {"secret": room.webhook_secret(_application(request))}


def _application(request: Request) -> str:
    found = request.query_params.get("application")
    if not found:
        raise Invalid("Say which: application=")
    return found


def _unsubscribe(room: Channels, method: str, token: str) -> Response:
    """Reading the page changes nothing: mail scanners follow every link."""
    try:
        origin = intake.origins.read(room, token)
        if method == "POST":
            intake.unsubscribe(room, token)
    except Denied as refusal:
        words = f"<p>{escape(refusal.message)}.</p>"
        return HTMLResponse(PAGE.format(title="This link does not work", body=words), 404)
    address = escape(origin.address)
    if method == "POST":
        done = f"<p>{address} gets no more of these mails.</p>"
        return HTMLResponse(PAGE.format(title="You are unsubscribed", body=done))
    ask = ASK.format(address=address)
    return HTMLResponse(PAGE.format(title="Do you want no more of these mails?", body=ask))


def _check_caller(room: Channels, token: str, request: Request) -> None:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return
    key = request.query_params.get("key", "")
    posting = request.method == "POST"
    if posting and hmac.compare_digest(key.encode(), intake.key(room).encode()):
        return
    raise Denied(
        "This needs `Authorization: Bearer <token>` (api_token of the data folder) or ?key="
    )


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_MAX_BYTES:
            raise Invalid(f"The body has more than {BODY_MAX_BYTES} bytes")
    return body


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TailorbirdError)
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 409)
    return _json(status, {"message": error.message})


def _json(status: int, body: Answer) -> Response:
    content = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, status, media_type="application/json")
