"""A service compiled from its model: find the operation, parse its request, render its answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import orjson

from tailorbird.gateway.wire import event_stream, json_in, query_in, rest, xml_in, xml_out
from tailorbird.gateway.wire.check import text
from tailorbird.gateway.wire.json_in import JsonReader
from tailorbird.gateway.wire.json_out import JsonWriter
from tailorbird.gateway.wire.message import Body, Header, Reply, Request, parse_query
from tailorbird.gateway.wire.model import Model, Shape, load
from tailorbird.gateway.wire.query_in import QueryReader
from tailorbird.gateway.wire.refusal import Malformed, Refused, missing
from tailorbird.gateway.wire.router import Router
from tailorbird.gateway.wire.xml_in import XmlReader
from tailorbird.gateway.wire.xml_out import XmlWriter

Answer = dict[str, Any]
Parse = Callable[[Request], dict[str, Any]]
Render = Callable[[Answer, str], Reply]  # the answer and the request id

NO_BODY = frozenset({204, 304})
S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
S3_ROOTS = {
    "ListBucketsOutput": "ListAllMyBucketsResult",
    "GetBucketLocationOutput": "LocationConstraint",
    "ListObjectsOutput": "ListBucketResult",
    "ListObjectsV2Output": "ListBucketResult",
    "CreateMultipartUploadOutput": "InitiateMultipartUploadResult",
    "DeleteObjectsOutput": "DeleteResult",
}
STATUS, HEADERS = "_status", "_headers"  # members an operation may add to its answer


class Operation:
    """One operation: `parse` and `render` are compiled when they are first needed."""

    def __init__(self, owner: Api, name: str) -> None:
        self.name = name
        self.service = owner.model.name
        self._owner = owner
        self.spec = owner.model.operations[name]

    @functools.cached_property
    def parse(self) -> Parse:
        return self._owner.make_parse(self)

    @functools.cached_property
    def render(self) -> Render:
        return self._owner.make_render(self)

    @property
    def input(self) -> Shape | None:
        return self._owner.model.shape(self.spec["input"]) if "input" in self.spec else None

    @property
    def output(self) -> Shape | None:
        return self._owner.model.shape(self.spec["output"]) if "output" in self.spec else None

    @property
    def status(self) -> int:
        return int(self.spec["http"].get("responseCode", 200))


class Api:
    """A service: `find` gives the operation a request means, or None."""

    def __init__(self, model: Model, built: Container[str] = ()) -> None:
        self.model = model
        self._operations: dict[str, Operation] = {}
        self._json_reader, self._json_writer = JsonReader(model), JsonWriter(model)
        self._xml_reader, self._xml_writer = XmlReader(model), XmlWriter(model)
        self._query_reader = QueryReader(model)
        self._router = Router(model, built) if model.protocol.startswith("rest") else None

    def operation(self, name: str) -> Operation:
        made = self._operations.get(name)
        if made is None:
            made = self._operations[name] = Operation(self, name)
        return made

    def find(self, request: Request) -> Operation | None:
        name = self._name(request)
        return self.operation(name) if name in self.model.operations else None

    def _name(self, request: Request) -> str | None:
        if self._router is not None:
            return self._router.find(request)
        if self.model.protocol == "json":
            return request.headers.get("x-amz-target", "").rpartition(".")[2]
        return action(request)

    # requests

    def make_parse(self, operation: Operation) -> Parse:
        shape = operation.input
        if shape is None:
            return lambda request: {}
        if self.model.protocol == "json":
            parse = self._json_reader.structure(shape, shape["members"])
            return lambda request: parse(json_in.document(request.body))
        if self.model.protocol == "query":
            parse_form = self._query_reader.parser(operation.spec["input"])
            return lambda request: parse_form(query_in.tree(_form(request)))
        return self._make_rest_parse(shape)

    def _make_rest_parse(self, shape: Shape) -> Parse:
        takers = rest.takers(self.model, shape)
        take_body = self._payload_taker(shape) if "payload" in shape else self._body_taker(shape)

        def parse(request: Request) -> dict[str, Any]:
            out: dict[str, Any] = take_body(request)
            for take in takers:
                take(request, out)
            return out

        return parse

    def _body_taker(self, shape: Shape) -> Parse:
        members = rest.body_members(shape)
        if not members:
            return lambda request: {}
        if self.model.protocol == "rest-xml":
            raise NotImplementedError(f"{shape['name']}: an XML body without a payload member")
        parse = self._json_reader.structure(shape, members)
        return lambda request: parse(json_in.document(request.body))

    def _payload_taker(self, shape: Shape) -> Parse:
        name = shape["payload"]
        ref = shape["members"][name]
        inner = self.model.shape(ref)
        required = name in shape.get("required", ())
        if inner["type"] in ("blob", "string"):
            return _raw_taker(name, inner)
        if self.model.protocol == "rest-json":
            parse = self._json_reader.parser(ref)
            read: Callable[[bytes], Any] = lambda body: parse(json_in.document(body))  # noqa: E731
        else:
            parse_xml = self._xml_reader.parser(ref)
            read = lambda body: parse_xml(xml_in.document(body))  # noqa: E731
        wants_body = required and self.model.protocol == "rest-json"

        def take(request: Request) -> dict[str, Any]:
            if not request.body and not wants_body:
                if required:
                    raise missing(name)
                return {}
            try:
                return {name: read(request.body)}
            except Refused as refused:
                raise refused.under(name) from None

        return take

    # answers

    def make_render(self, operation: Operation) -> Render:
        shape = operation.output
        protocol = self.model.protocol
        if protocol == "query":
            return self._query_render(operation, shape)
        if shape is None:
            content_type = _content_type(self.model)
            return lambda answer, _: _reply(operation, answer, b"", content_type, [])
        if protocol == "json":
            render = self._json_writer.structure(shape["members"])
            content_type = _content_type(self.model)
            return lambda answer, _: _reply(
                operation, answer, orjson.dumps(render(answer)), content_type, []
            )
        return self._rest_render(operation, shape)

    def _rest_render(self, operation: Operation, shape: Shape) -> Render:
        givers = rest.givers(self.model, shape)
        status_member = rest.status_member(shape)
        render_body = (
            self._payload_renderer(shape) if "payload" in shape else self._body_renderer(operation)
        )
        content_type = _content_type(self.model)
        if self._is_event_stream(shape):
            content_type = event_stream.CONTENT_TYPE
        if content_type == b"application/xml" and self._is_raw(shape):
            content_type = b"binary/octet-stream"  # S3's for objects put without one

        def render(answer: Answer, _: str) -> Reply:
            headers: list[Header] = []
            for name, give in givers.items():
                value = answer.get(name)
                if value is not None:
                    give(value, headers)
            reply = _reply(operation, answer, render_body(answer), content_type, headers)
            if status_member is not None and answer.get(status_member):
                reply.status = int(answer[status_member])
            return reply

        return render

    def _is_event_stream(self, shape: Shape) -> bool:
        name = shape.get("payload")
        return bool(name) and bool(self.model.shape(shape["members"][name]).get("eventstream"))

    def _is_raw(self, shape: Shape) -> bool:
        name = shape.get("payload")
        return bool(name) and self.model.shape(shape["members"][name])["type"] == "blob"

    def _body_renderer(self, operation: Operation) -> Callable[[Answer], Body]:
        shape = operation.output or {}
        members = rest.body_members(shape)
        if self.model.protocol == "rest-json":
            render = self._json_writer.structure(members)
            return lambda answer: orjson.dumps(render(answer))
        if not members:
            return lambda answer: b""
        write = self._xml_writer.members(members)
        root = _root(shape)
        if operation.name == "GetBucketLocation":  # its one member is the root element itself
            return lambda answer: _xml(root, [answer.get("LocationConstraint") or ""])

        def render_xml(answer: Answer) -> bytes:
            out: list[str] = []
            write(answer, out)
            return _xml(root, out)

        return render_xml

    def _payload_renderer(self, shape: Shape) -> Callable[[Answer], Body]:
        name = shape["payload"]
        ref = shape["members"][name]
        inner = self.model.shape(ref)
        if inner["type"] in ("blob", "string"):
            return lambda answer: _raw(answer.get(name))
        if inner.get("eventstream"):
            return lambda answer: event_stream.encode(self.model, inner, _payload(answer, name))
        if self.model.protocol == "rest-json":
            render = self._json_writer.renderer(ref)
            return lambda answer: orjson.dumps(render(_payload(answer, name)))
        write = self._xml_writer.members(inner["members"])
        root = _root(inner, ref.get("locationName", inner["name"]))

        def render_xml(answer: Answer) -> bytes:
            out: list[str] = []
            write(answer.get(name) or {}, out)
            return _xml(root, out)

        return render_xml

    def _query_render(self, operation: Operation, shape: Shape | None) -> Render:
        write = self._xml_writer.members(shape["members"]) if shape else None
        wrapper = (shape or {}).get("resultWrapper", f"{operation.name}Result")
        namespace = self.model.metadata.get("xmlNamespace", "")

        def render(answer: Answer, request_id: str) -> Reply:
            out = [f'<{operation.name}Response xmlns="{namespace}">']
            if write is not None:
                out.append(f"<{wrapper}>")
                write(answer, out)
                out.append(f"</{wrapper}>")
            out.append(
                f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
                f"</{operation.name}Response>"
            )
            return _reply(operation, answer, "".join(out).encode(), b"text/xml", [])

        return render


@functools.cache
def api(name: str) -> Api:
    """The compiled service of a model, without a preference for built operations."""
    return Api(load(name))


def action(request: Request) -> str:
    """The operation a query request names."""
    return _form(request).get("Action", [""])[0]


def _form(request: Request) -> dict[str, list[str]]:
    return request.query | parse_query(request.body)


def _raw_taker(name: str, shape: Shape) -> Parse:
    if shape["type"] == "blob":
        return lambda request: {name: request.body} if request.body else {}
    parse = text(shape)
    return lambda request: {name: parse(_text_body(request.body))} if request.body else {}


def _text_body(body: bytes) -> str:
    try:
        content = body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8 at byte {error.start}") from None
    if "\0" in content:
        raise Malformed(f"The body holds a NUL character at {content.index(chr(0))}")
    return content


def _raw(value: Any) -> Body:
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, bytes | Path) or hasattr(value, "__iter__"):
        body: Body = value
        return body
    raise TypeError(f"bytes, a path or chunks of bytes are wanted, not {value!r:.80}")


def _payload(answer: Answer, name: str) -> Any:
    value = answer.get(name)
    if value is None:
        raise TypeError(f"the answer has no {name}, only {sorted(answer)}")
    return value


def _reply(
    operation: Operation, answer: Answer, body: Body, content_type: bytes, headers: list[Header]
) -> Reply:
    status = answer.get(STATUS) or operation.status
    for name, value in (answer.get(HEADERS) or {}).items():
        headers.append((name.encode("latin-1"), rest.header_value(value)))
    if status in NO_BODY:
        body = b""
    elif not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"content-type", content_type))
    return Reply(status, headers, body)


def _content_type(model: Model) -> bytes:
    if model.protocol == "json":
        return f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.1')}".encode()
    return b"application/json" if model.protocol == "rest-json" else b"application/xml"


def _root(shape: Shape, name: str | None = None) -> str:
    """The root element: the payload's own name, or the one S3 gives this output."""
    output = shape["name"]
    return name or S3_ROOTS.get(output) or output.removesuffix("Output") + "Result"


def _xml(root: str, content: list[str]) -> bytes:
    text = f'{xml_out.DECLARATION}<{root} xmlns="{S3_NAMESPACE}">{"".join(content)}</{root}>'
    return text.encode()
