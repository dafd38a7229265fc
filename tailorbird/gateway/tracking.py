"""The doors that a mail's pixel and links lead to; open to everybody who holds a signed address.

GET /_/open/{token}    the pixel
GET /_/click/{token}   on to the address that was signed
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from html import escape
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tailorbird.channels import links
from tailorbird.engage import Engage, tracking
from tailorbird.errors import Denied
from tailorbird.gateway.intake import PAGE

PATHS = (f"{links.OPEN_PATH}/", f"{links.CLICK_PATH}/")
GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
FRESH = {"Cache-Control": "no-store, private", "Referrer-Policy": "no-referrer"}


def app(room: Engage) -> Starlette:
    """The ASGI application."""

    def door(answer: Callable[[links.Hit], Response]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                return answer(await run_in_threadpool(_take, room, request))
            except Denied as refusal:
                words = f"<p>{escape(refusal.message)}.</p>"
                return HTMLResponse(PAGE.format(title="This link does not work", body=words), 404)

        return endpoint

    verbs = ["GET"]  # Starlette answers HEAD as well; it is not counted
    return Starlette(
        routes=[
            Route(f"{links.OPEN_PATH}/{{token}}", door(_pixel), methods=verbs),
            Route(f"{links.CLICK_PATH}/{{token}}", door(_onward), methods=verbs),
        ]
    )


def _take(room: Engage, request: Request) -> links.Hit:
    token = request.path_params["token"]
    hit = links.read(room.channels, token)
    if bool(hit.url) != request.url.path.startswith(links.CLICK_PATH):
        raise Denied("The link was made for something else")
    if request.method == "HEAD":
        return hit
    address = request.client.host if request.client else ""
    return tracking.take(room, token, address, request.headers)


def _pixel(_hit: links.Hit) -> Response:
    return Response(GIF, media_type="image/gif", headers=FRESH)


def _onward(hit: links.Hit) -> Response:
    return RedirectResponse(hit.url, 302, headers=FRESH)
