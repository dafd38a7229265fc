"""Values that a service model accepts, made from its shapes by a seeded generator."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from botocore.model import Shape

from tailorbird.gateway.wire.check import pattern

DEEPEST = 4
EXTRAS = ("Expires", "ExpiresString")  # S3 members that botocore treats outside the model
CANDIDATES = (
    "a",
    "abcd",
    "a" * 20,
    "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8",
    "1",
    "123456789012",
    "$LATEST",
    "index.handler",
    "/",
    "/path/",
    "s3://bucket/key",
    "s3://bucket/",
    "arn:aws:iam::123456789012:role/name",
    "arn:aws:personalize:us-east-1:123456789012:solution/name",
    "arn:aws:lambda:us-east-1:123456789012:function:name",
    "arn:aws:lambda:us-east-1:123456789012:function:name:1",
    "arn:aws:lambda:us-east-1:123456789012:layer:name",
    "arn:aws:lambda:us-east-1:123456789012:layer:name:1",
    "arn:aws:lambda:us-east-1:123456789012:event-source-mapping:"
    "a1b2c3d4-a1b2-c3d4-e5f6-a1b2c3d4e5f6",
    "arn:aws:kms:us-east-1:123456789012:key/name",
    "arn:aws:kinesis:us-east-1:123456789012:stream/name",
    "arn:aws:s3:::bucket",
    "arn:aws:sns:us-east-1:123456789012:topic",
    "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-1234567890abcdef0",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:name",
    "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1234567890abcdef0",
    "lambda:InvokeFunction",
    "/mnt/data",
    "aws.example.com",
    "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
    "vpc-1234",
    "o-a1b2c3d4e5",
    "2026-11-21",
    "base64==",
    "lambda:GetLayerVersion",
    "subnet-1234",
    "v1",
    "{}",
)


class NoSample(Exception):
    """No candidate satisfies the shape."""


class Sampler:
    """`sample(shape)` gives a value as boto3 takes or shows it; a different one for each seed."""

    def __init__(self, seed: int, *, checked: bool = True) -> None:
        self._random = random.Random(seed)
        self._checked = checked  # whether patterns and bounds matter (they do not in answers)

    def sample(self, shape: Shape, depth: int = 0) -> Any:
        return getattr(self, "_" + shape.type_name)(shape, depth)

    def _structure(self, shape: Shape, depth: int) -> dict[str, Any]:
        if getattr(shape, "is_tagged_union", False):
            name = self._random.choice(list(shape.members))
            return {name: self.sample(shape.members[name], depth + 1)}
        out: dict[str, Any] = {}
        for name, member in shape.members.items():
            is_status = member.serialization.get("location") == "statusCode"
            needed = name in shape.required_members or is_status or (depth > 0 and not out)
            if not needed and (depth >= DEEPEST or self._random.random() < 0.3):
                continue
            if member.serialization.get("eventstream") or name in EXTRAS:
                continue
            try:
                out[name] = self.sample(member, depth + 1)
            except NoSample:
                if name in shape.required_members:
                    raise
        return out

    def _list(self, shape: Shape, depth: int) -> list[Any]:
        count = max(shape.metadata.get("min", 1), 1 if depth >= DEEPEST else 2)
        count = min(count, shape.metadata.get("max", count)) if self._checked else count
        return [self.sample(shape.member, depth + 1) for _ in range(count)]

    def _map(self, shape: Shape, depth: int) -> dict[str, Any]:
        if shape.serialization.get("location") == "headers":
            return {"colour": "word"}
        names = [self.sample(shape.key, depth + 1)]
        while len(names) < shape.metadata.get("min", 1):
            names.append(f"{names[0]}{len(names)}")
        return {name: self.sample(shape.value, depth + 1) for name in names}

    def _string(self, shape: Shape, depth: int) -> str:
        if shape.enum:
            return self._random.choice([e for e in shape.enum if e] or list(shape.enum))
        java = shape.metadata.get("pattern")
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
        if java is None or not self._checked:
            text = self._random.choice(
                ["word", "two words", "a/b+c=d&e", "ünï ☃", "<\"&'>", "100%"]
            )
            if shape.serialization.get("location") == "header" or shape.name == "Metadata":
                text = "word"
            return text + "x" * (low - len(text)) if high is None else text[:high].ljust(low, "x")
        whole = pattern(java)
        fitting = [
            c
            for c in CANDIDATES
            if whole.fullmatch(c) and low <= len(c) and (high is None or len(c) <= high)
        ]
        if not fitting:
            raise NoSample(f"{shape.name}: {java}")
        return self._random.choice(fitting)

    def _integer(self, shape: Shape, depth: int) -> int:
        if shape.serialization.get("location") == "statusCode":
            return 202
        low = shape.metadata.get("min", 0)
        return self._random.randint(low, min(shape.metadata.get("max", low + 1000), low + 1000))

    _long = _integer

    def _double(self, shape: Shape, depth: int) -> float:
        low, high = shape.metadata.get("min", -1.0), shape.metadata.get("max", 1.0)
        return float(low) if self._random.random() < 0.2 else (float(low) + float(high)) / 2

    _float = _double

    def _boolean(self, shape: Shape, depth: int) -> bool:
        return self._random.random() < 0.5

    def _timestamp(self, shape: Shape, depth: int) -> datetime:
        return datetime.fromtimestamp(self._random.randint(0, 2_000_000_000), UTC)

    def _blob(self, shape: Shape, depth: int) -> bytes:
        return self._random.randbytes(12)


def plain(value: Any) -> Any:
    """The same value as an operation sees it: instants as epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
