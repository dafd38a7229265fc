"""The pages: the loop as one picture, running jobs, the inbox and one mail."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tailorbird import __version__
from tailorbird.channels import inbox
from tailorbird.console.door import Door
from tailorbird.console.glance import glance, jobs_at_a_glance, latest_activities
from tailorbird.console.measured import campaign, percent
from tailorbird.console.recent import Recent
from tailorbird.errors import Invalid, NotFound

HERE = Path(__file__).parent
MAILS_ON_HOME = 8
MAILS_ON_PAGE = 200
LOGIN_BYTES = 4_096
MAIL_HEADERS = {
    # A mail is the sender's page, not ours: no script, no network, no access to this origin.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'self'",
}


def app(house: Any) -> Starlette:
    """The console of one house: it reads its database, jobs, settings and rooms."""
    door = Door((house.settings.data / "api_token").read_text().strip())
    pages = Pages(house, door)
    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/console/loop", pages.loop),
            Route("/console/activities", pages.activities),
            Route("/console/campaigns/{id}", pages.campaign),
            Route("/console/jobs", pages.jobs),
            Route("/console/mails", pages.mails),
            Route("/console/inbox", pages.inbox),
            Route("/console/inbox/{path:path}/body", pages.mail_body),
            Route("/console/inbox/{path:path}", pages.mail),
            Route("/console/login", pages.login, methods=["GET", "POST"]),
            Mount("/console/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=door)],
        exception_handlers={NotFound: pages.missing, Invalid: pages.missing, 404: pages.missing},
    )


class Pages:
    """One function a page; the parts that change refresh themselves by htmx."""

    def __init__(self, house: Any, door: Door) -> None:
        self.house = house
        self.door = door
        self.recent = Recent()
        self.templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )
        self.templates.filters.update(n=number, ago=ago, percent=percent)
        self.templates.globals.update(version=__version__)

    async def home(self, request: Request) -> Response:
        return await self._page("home.html", **await self._loop(), **await self._below())

    async def loop(self, request: Request) -> Response:
        return await self._page("loop.html", **await self._loop())

    async def activities(self, request: Request) -> Response:
        return await self._page("activities.html", activities=await self._look(latest_activities))

    async def campaign(self, request: Request) -> Response:
        id_, event = request.path_params["id"], request.query_params.get("event", "").strip()
        found = await run_in_threadpool(campaign, self.house, id_, event)
        return await self._page("campaign.html", c=found)

    async def jobs(self, request: Request) -> Response:
        return await self._page("jobs.html", jobs=await self._look(jobs_at_a_glance))

    async def mails(self, request: Request) -> Response:
        return await self._page("mails.html", mails=await self._look(latest_mails))

    async def inbox(self, request: Request) -> Response:
        mails, count = await self._look(all_mails)
        return await self._page("inbox.html", mails=mails, count=count)

    async def mail(self, request: Request) -> Response:
        path = request.path_params["path"]
        mail = await run_in_threadpool(inbox.read, self.house.settings, path)
        return await self._page("mail.html", mail=mail)

    async def mail_body(self, request: Request) -> Response:
        path = request.path_params["path"]
        mail = await run_in_threadpool(inbox.read, self.house.settings, path)
        return HTMLResponse(mail["html"], headers=MAIL_HEADERS)

    async def login(self, request: Request) -> Response:
        wrong = False
        if request.method == "POST":
            form = parse_qs((await request.body())[:LOGIN_BYTES].decode(errors="replace"))
            if self.door.fits(form.get("token", [""])[0]):
                return self.door.admit(request, "/")
            wrong = True
        return await self._page("login.html", 403 if wrong else 200, wrong=wrong)

    async def missing(self, request: Request, error: Exception) -> Response:
        what = getattr(error, "message", "") or f"There is no page {request.url.path}"
        return await self._page("missing.html", 404, what=what)

    async def _loop(self) -> dict[str, Any]:
        return {"loop": await self._look(glance)}

    async def _below(self) -> dict[str, Any]:
        return {
            "activities": await self._look(latest_activities),
            "jobs": await self._look(jobs_at_a_glance),
            "mails": await self._look(latest_mails),
        }

    async def _look(self, at: Callable[[Any], Any]) -> Any:
        """What this look at the house shows, or showed a moment ago."""
        return await run_in_threadpool(self.recent.look, at.__name__, lambda: at(self.house))

    async def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        template = self.templates.get_template(name)
        return HTMLResponse(template.render(now=self.house.clock.now(), **values), status)


def latest_mails(house: Any) -> Sequence[dict[str, Any]]:
    return inbox.list(house.settings, limit=MAILS_ON_HOME)


def all_mails(house: Any) -> tuple[Sequence[dict[str, Any]], int]:
    """The newest mails and the number of all."""
    return inbox.list(house.settings, limit=MAILS_ON_PAGE), inbox.count(house.settings)


def number(value: float | None) -> str:
    """12345 -> 12,345; nothing known is a dash."""
    return "–" if value is None else f"{value:,.0f}"


def ago(moment: float | None, now: float | None = None) -> str:
    """How long ago, in the largest unit that fits."""
    if moment is None:
        return ""
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
