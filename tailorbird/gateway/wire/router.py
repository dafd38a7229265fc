"""From method, path and query to an operation, compiled from the requestUris of a REST model."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from tailorbird.gateway.wire.message import Request, decode
from tailorbird.gateway.wire.model import Model


@dataclass(frozen=True)
class Route:
    operation: str
    segments: tuple[str | None, ...]  # None is a label
    labels: tuple[tuple[str, int], ...]  # name and position in the path
    greedy: bool  # the last label takes the rest of the path
    query: tuple[tuple[str, str | None], ...]  # literals of the requestUri; None is any value
    query_members: tuple[str, ...]  # required parameters, which tell apart equal paths
    header_members: tuple[str, ...]

    def takes(self, request: Request) -> bool:
        return (
            all(
                name in request.query and (value is None or value in request.query[name])
                for name, value in self.query
            )
            and all(name in request.query for name in self.query_members)
            and all(name in request.headers for name in self.header_members)
        )

    @property
    def narrowness(self) -> tuple[int, int]:
        return len(self.query), len(self.query_members) + len(self.header_members)


class Node:
    """Where the routes of one method part, segment by segment."""

    def __init__(self) -> None:
        self.literals: dict[str, Node] = {}
        self.label: Node | None = None
        self.routes: list[Route] = []

    def add(self, route: Route) -> None:
        node = self
        for segment in route.segments:
            if segment is not None:
                node = node.literals.setdefault(segment, Node())
            else:
                node.label = node = node.label or Node()
        node.routes.append(route)

    def find(self, parts: list[str], at: int = 0) -> list[Route]:
        """The routes of that path; a literal is preferred to a label."""
        if at == len(parts):
            return self.routes
        part = parts[at]
        literal = self.literals.get(part)
        if literal is not None and (found := literal.find(parts, at + 1)):
            return found
        return self.label.find(parts, at + 1) if self.label is not None and part else []


class Router:
    """All routes of one REST service.

    Where several operations share a path (S3), the one whose literals and required parameters are
    all there and most in number is meant; between equals, one that is built.
    """

    def __init__(self, model: Model, built: Container[str]) -> None:
        self._s3 = model.name == "s3"
        self._built = built
        self._exact: dict[str, Node] = {}
        self._greedy: dict[str, list[Route]] = {}
        for name, operation in model.operations.items():
            route = _route(model, name)
            method = operation["http"]["method"]
            if route.greedy:
                self._greedy.setdefault(method, []).append(route)
            else:
                self._exact.setdefault(method, Node()).add(route)

    def find(self, request: Request) -> str | None:
        """The operation's name, its labels left in `request.labels`; None when there is no such."""
        parts = self._parts(request.path)
        root = self._exact.get(request.method)
        candidates = root.find(parts) if root is not None else []
        if not candidates:
            candidates = _fitting(self._greedy.get(request.method, []), parts)
        if len(candidates) > 1 or (candidates and candidates[0].query):
            candidates = self._narrowest(candidates, request)
        if not candidates:
            return None
        route = candidates[0]
        if route.labels:
            request.labels = _labels(route, parts)
        return route.operation

    def _narrowest(self, candidates: list[Route], request: Request) -> list[Route]:
        taking = [route for route in candidates if route.takes(request)]
        if not taking:
            return []
        return [max(taking, key=lambda route: (route.narrowness, route.operation in self._built))]

    def _parts(self, path: str) -> list[str]:
        path = path.removeprefix("/")
        if self._s3:  # an object's key keeps its slashes, a bucket's last one means nothing
            bucket, _, key = path.partition("/")
            return [bucket, key] if key else [bucket] if bucket else []
        path = path.rstrip("/")
        return path.split("/") if path else []


def _route(model: Model, name: str) -> Route:
    operation = model.operations[name]
    path, _, query = operation["http"]["requestUri"].partition("?")
    segments = [s for s in path.split("/") if s]
    labels = tuple(
        (s.strip("{}").removesuffix("+"), at) for at, s in enumerate(segments) if s[0] == "{"
    )
    literals = [pair.partition("=") for pair in query.split("&") if pair]
    required = _required(model, operation)
    return Route(
        operation=name,
        segments=tuple(None if s.startswith("{") else s for s in segments),
        labels=labels,
        # A resource's ARN is the rest of the path also where a client left its slashes unencoded.
        greedy=bool(segments) and (segments[-1].endswith("+}") or "/tags/{" in path),
        query=tuple((key, value if equals else None) for key, equals, value in literals),
        query_members=tuple(required["querystring"]),
        header_members=tuple(h.lower() for h in required["header"]),
    )


def _required(model: Model, operation: dict) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"querystring": [], "header": []}
    if "input" in operation:
        shape = model.shape(operation["input"])
        for name in shape.get("required", ()):
            ref = shape["members"][name]
            if ref.get("location") in found:
                found[ref["location"]].append(ref.get("locationName", name))
    return found


def _fitting(routes: list[Route], parts: list[str]) -> list[Route]:
    """Greedy routes whose segments the path begins with."""
    return [
        route
        for route in routes
        if len(route.segments) <= len(parts)
        and all(
            segment == part or (segment is None and part)
            for segment, part in zip(route.segments, parts, strict=False)
        )
    ]


def _labels(route: Route, parts: list[str]) -> dict[str, str]:
    values = {name: decode(parts[at]) for name, at in route.labels}
    if route.greedy:
        name, at = route.labels[-1]
        values[name] = decode("/".join(parts[at:]))
    return values
