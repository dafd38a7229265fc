"""Rendering: a message configuration or template, with one endpoint's values in it.

`{{x}}` is escaped in HTML parts only: subjects, texts, SMS and push bodies are plain text.
Source: Pinpoint user guide, "Adding personalized content to message templates".
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import orjson
from msgspec.structs import replace

from tailorbird.engage import handlebars
from tailorbird.engage.handlebars import Interrupted, variables
from tailorbird.errors import Invalid
from tailorbird.settings import Settings

EACH_LIMIT = 15  # items of a list in {{#each}}
BATCH_SIZE = 50  # endpoints in one call of the engine
OUTPUT_GOAL_BYTES = 2_000_000  # of one call; large templates go in smaller batches
STRIKES = 3  # timeouts in a row after which the rest of a call is not tried

# Which member is which part. Direct messages, campaigns and templates name them differently.
PARTS = {
    "subject": ("Subject", "Title"),
    "html": ("HtmlBody", "HtmlPart"),
    "text": ("TextPart", "Body"),
}
# Members of push messages that may hold variables as well.
EXTRAS = (
    *("Url", "RawContent", "JsonBody", "ImageUrl", "ImageIconUrl", "ImageSmallIconUrl"),
    *("SmallImageIconUrl", "IconReference", "MediaUrl", "Sound", "CollapseId", "CollapseKey"),
)
SUBSTITUTIONS = "TailorbirdSubstitutions"  # the member under which the engine takes them

# Channels on which a hook may give an endpoint its own title and body (never EMAIL).
OVERRIDABLE = {
    *("ADM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX"),
    *("BAIDU", "GCM", "SMS"),
}

Endpoint = Mapping[str, Any]


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """One message in words: `title` and `body` are what push and SMS call subject and text."""

    subject: str = ""
    html: str = ""
    text: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    extras: Mapping[str, str] = msgspec.field(default_factory=dict)  # those of EXTRAS, filled in

    @property
    def title(self) -> str:
        return self.subject

    @property
    def body(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class RenderError:
    """Why one endpoint's message could not be rendered."""

    part: str
    reason: str

    @property
    def message(self) -> str:
        return f"{self.part}: {self.reason}" if self.part else self.reason


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may want another way than Pinpoint's."""

    each_limit: int = EACH_LIMIT  # 0: none
    escape_text: bool = False  # escape `{{x}}` in subjects, texts, SMS and push as well


DEFAULT_OPTIONS = Options()


def options_of(settings: Settings) -> Options:
    return Options(settings.engage_each_limit, settings.engage_escape_text)


@dataclass(frozen=True, slots=True)
class Part:
    name: str  # the member it came from, for error messages
    slot: str  # the field of Rendered, or "header", or "extra"
    source: str

    @property
    def fixed(self) -> bool:
        return "{{" not in self.source


@dataclass(frozen=True)
class Compiled:
    """A message that compiles; each thread loads its script into its own engine once."""

    parts: tuple[Part, ...]
    scripts: str  # the parts that are not fixed, as the engine takes them
    defaults: str  # JSON
    options: Options
    key: str
    fill: variables.Fill | None = None  # when text and plain variables are all there is
    # Of subject, html and text: the text itself, or which moving part it is. None: there are others
    plain: tuple[str | int, ...] | None = None

    def render(
        self,
        endpoints: Sequence[Endpoint],
        *,
        now: float | None = None,
        substitutions: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[Rendered | RenderError]:
        """One result for each endpoint, in order.

        `substitutions` (one map for each endpoint, flat dotted names) win over endpoint values.
        """
        now = time.time() if now is None else now
        given = substitutions or [{}] * len(endpoints)
        results: list[Rendered | RenderError] = []
        size = self._batch_size()
        for start in range(0, len(endpoints), size):
            batch = endpoints[start : start + size]
            values = self._values(batch, given[start : start + size], now)
            results += [self._result(*pair) for pair in zip(batch, values, strict=True)]
        return results

    def _batch_size(self) -> int:
        length = sum(len(part.source) for part in self.parts) + 1
        return max(1, min(BATCH_SIZE, OUTPUT_GOAL_BYTES // length))

    def _values(
        self, endpoints: Sequence[Endpoint], given: Sequence[Mapping[str, Any]], now: float
    ) -> list[list[str] | RenderError]:
        """The moving parts of each endpoint, rendered."""
        if all(part.fixed for part in self.parts):
            return [[] for _ in endpoints]
        if self.fill is None:
            return self._by_engine(endpoints, given, now)
        filled: list[list[str] | RenderError | None] = [
            None if named else self.fill(endpoint)
            for endpoint, named in zip(endpoints, given, strict=True)
        ]
        left = [n for n, one in enumerate(filled) if one is None]
        if left:
            rest = self._by_engine([endpoints[n] for n in left], [given[n] for n in left], now)
            for n, one in zip(left, rest, strict=True):
                filled[n] = one
        return [one for one in filled if one is not None]

    def _by_engine(
        self, endpoints: Sequence[Endpoint], given: Sequence[Mapping[str, Any]], now: float
    ) -> list[list[str] | RenderError]:
        coded = [_coded(*pair) for pair in zip(endpoints, given, strict=True)]
        good = [one for one in coded if isinstance(one, bytes)]
        done = self._run(good, now) if good else iter(())
        return [next(done) if isinstance(one, bytes) else one for one in coded]

    def _run(self, coded: Sequence[bytes], now: float) -> Iterator[list[str] | RenderError]:
        """Render a batch; when the engine stops at it, each endpoint on its own."""
        try:
            return map(_answer, self._engine(coded, now))
        except Interrupted:
            return self._one_by_one(coded, now)

    def _one_by_one(self, coded: Sequence[bytes], now: float) -> Iterator[list[str] | RenderError]:
        strikes = 0
        for one in coded:
            if strikes >= STRIKES:
                yield RenderError("", f"not tried: the template was stopped {STRIKES} times before")
                continue
            try:
                (answer,) = self._engine([one], now)
                strikes = 0
                yield _answer(answer)
            except Interrupted as stop:
                strikes += 1
                yield RenderError("", f"the template was stopped: {_limit(stop)}")

    def _engine(self, coded: Sequence[bytes], now: float) -> list[Any]:
        return handlebars.engine().render(
            self.key,
            self.scripts,
            self.defaults,
            (b"[" + b",".join(coded) + b"]").decode(),
            now=now,
            each_limit=self.options.each_limit,
        )

    def _result(
        self, endpoint: Endpoint, values: list[str] | RenderError
    ) -> Rendered | RenderError:
        if isinstance(values, RenderError):
            return values
        if self.plain is not None:
            words = [values[one] if type(one) is int else one for one in self.plain]
            return _overridden(Rendered(*words), endpoint)  # type: ignore[arg-type]
        rest = iter(values)
        slots: dict[str, str] = {}
        headers: dict[str, str] = {}
        extras: dict[str, str] = {}
        for part in self.parts:
            text = part.source if part.fixed else next(rest)
            if part.slot == "header":
                headers[part.name.removeprefix("Headers.")] = text
            elif part.slot == "extra":
                extras[part.name] = text
            else:
                slots[part.slot] = text
        return _overridden(Rendered(**slots, headers=headers, extras=extras), endpoint)


def compile_message(
    message: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    options: Options = DEFAULT_OPTIONS,
) -> Compiled:
    """The message of one channel (campaign, direct, or a template's parts), ready to render.

    `defaults` are a template's DefaultSubstitutions. Invalid names the part, line and column of
    what does not compile.
    """
    values = json.dumps(_defaults(defaults or {}), sort_keys=True)
    return _compiled(tuple(_parts(message)), values, options)


@lru_cache(maxsize=64)
def _compiled(parts: tuple[Part, ...], defaults: str, options: Options) -> Compiled:
    moving = [
        (part, part.slot == "html" or options.escape_text) for part in parts if not part.fixed
    ]
    scripts = json.dumps([(part.name, _translated(part, escape)) for part, escape in moving])
    key = hashlib.sha256(f"{scripts}{defaults}".encode()).hexdigest()
    plain = [(part.source, escape) for part, escape in moving]
    fill = variables.filler(plain, json.loads(defaults))
    return Compiled(parts, scripts, defaults, options, key, fill, _plain(parts))


def _plain(parts: tuple[Part, ...]) -> tuple[str | int, ...] | None:
    """Where subject, html and text come from, when they are all that a message has."""
    found: dict[str, str | int] = dict.fromkeys(PARTS, "")
    moving = 0
    for part in parts:
        if part.slot not in found:
            return None
        found[part.slot] = part.source if part.fixed else moving
        moving += not part.fixed
    return tuple(found.values())


def _translated(part: Part, escape: bool) -> str:
    """The part as JavaScript."""
    try:
        answer = handlebars.engine().translate(part.source, escape=escape)
    except Interrupted as stop:
        why = _limit(stop, handlebars.COMPILE_LIMIT_SECONDS)
        raise Invalid(f"{part.name}: the template was stopped: {why}") from None
    if "script" not in answer:
        place = "".join(f", {key} {answer[key]}" for key in ("line", "column") if key in answer)
        raise Invalid(f"{part.name}{place}: {answer['message']}")
    return str(answer["script"])


def _parts(message: Mapping[str, Any]) -> Iterator[Part]:
    message = {**message, **_simple_email(message.get("SimpleEmail") or {})}
    for slot, names in PARTS.items():
        for name in names:
            if message.get(name):
                yield Part(name, slot, str(message[name]))
                break
    for name in EXTRAS:
        if "{{" in str(message.get(name) or ""):
            yield Part(name, "extra", str(message[name]))
    for header in message.get("Headers") or ():
        yield Part(f"Headers.{header.get('Name', '')}", "header", str(header.get("Value", "")))


def _simple_email(email: Mapping[str, Any]) -> dict[str, str]:
    """A direct message's SimpleEmail as flat parts."""
    parts = {
        name: (email.get(name) or {}).get("Data") for name in ("Subject", "HtmlPart", "TextPart")
    }
    return {name: text for name, text in parts.items() if text} | (
        {"Headers": email["Headers"]} if email.get("Headers") else {}
    )


def _defaults(defaults: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in defaults.items():
        if not isinstance(value, str | int | float | list) or not name:
            raise Invalid(f"DefaultSubstitutions: the value of {name!r} is not a text")
    return dict(defaults)


def _coded(endpoint: Endpoint, given: Mapping[str, Any]) -> bytes | RenderError:
    try:
        whole = {**endpoint, SUBSTITUTIONS: given} if given else endpoint
        return orjson.dumps(whole, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        return RenderError("", f"the endpoint is not JSON: {error}")


def _answer(one: Any) -> list[str] | RenderError:
    if isinstance(one, list):
        return one
    return RenderError(one.get("part") or "", one["message"])


def _overridden(rendered: Rendered, endpoint: Endpoint) -> Rendered:
    """TitleOverride and BodyOverride, where the channel honours them."""
    if endpoint.get("ChannelType") not in OVERRIDABLE:
        return rendered
    if (title := endpoint.get("TitleOverride")) is not None:
        rendered = replace(rendered, subject=str(title))
    if (body := endpoint.get("BodyOverride")) is not None:
        rendered = replace(rendered, text=str(body))
    return rendered


def _limit(stop: Interrupted, seconds: float = handlebars.TIME_LIMIT_SECONDS) -> str:
    if "memory" in str(stop):
        return f"it needs more than {handlebars.MEMORY_LIMIT_BYTES // 1_000_000} MB"
    if "interrupted" in str(stop):
        return f"it takes longer than {seconds} s"
    return str(stop)
