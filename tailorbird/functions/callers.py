"""Who asks for an invocation besides a signed caller: a service, or somebody in a role."""

from __future__ import annotations

from dataclasses import dataclass

from tailorbird.access import SEGMENT_ACCOUNT


@dataclass(frozen=True)
class ServiceCaller:
    """A service such as `pinpoint.us-east-1.amazonaws.com`, on behalf of one of its resources."""

    service: str
    source_arn: str | None = None
    source_account: str | None = None


@dataclass(frozen=True)
class RoleCaller:
    """A principal (Segment's account) that takes a role on to invoke, with an external id."""

    role_arn: str
    external_id: str | None = None
    principal: str = f"arn:aws:iam::{SEGMENT_ACCOUNT}:root"
