"""Who may look: the API token, in a link or typed in, then a cookie that only stands for it."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

COOKIE = "tailorbird_console"
COOKIE_SECONDS = 30 * 86_400
OPEN_PATHS = ("/console/login", "/console/static/")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Door:
    """Lets a request with the token or its cookie in, and sends everyone else to the login page."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._pass = hashlib.sha256(b"tailorbird console:" + token.encode()).hexdigest()

    async def __call__(self, request: Request, go_on: RequestResponseEndpoint) -> Response:
        given = request.query_params.get("token")
        if given is not None and self.fits(given):
            return self.admit(request, without_token(request))
        if not self.is_open(request.url.path) and not self.knows(request):
            return self.refuse(request)
        answer = await go_on(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    def fits(self, token: str) -> bool:
        return hmac.compare_digest(token.strip().encode(), self._token.encode())

    def knows(self, request: Request) -> bool:
        cookie = request.cookies.get(COOKIE, "")
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        return hmac.compare_digest(cookie.encode(), self._pass.encode()) or (
            kind.lower() == "bearer" and self.fits(bearer)
        )

    def admit(self, request: Request, to: str) -> Response:
        """Remember this browser and go where it wanted to go, with no token in the address."""
        answer = RedirectResponse(to, 303, HEADERS)
        answer.set_cookie(
            COOKIE,
            self._pass,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    def refuse(self, request: Request) -> Response:
        if request.headers.get("hx-request"):  # a fragment: let the whole page go to the login
            return Response("", 401, {"HX-Redirect": "/console/login"} | HEADERS)
        return RedirectResponse("/console/login", 303, HEADERS)

    @staticmethod
    def is_open(path: str) -> bool:
        return path.startswith(OPEN_PATHS)


def without_token(request: Request) -> str:
    """The path and query that were asked for, less the token."""
    kept = [(n, v) for n, v in QueryParams(request.url.query).multi_items() if n != "token"]
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")
