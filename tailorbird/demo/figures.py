"""What a run of the demo measured, each figure as a client saw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tailorbird.demo.learning import Learned
from tailorbird.demo.sender import Sent

SENT = "ENDPOINT_SENT"  # names in an activity's ExecutionMetrics
PRODUCED = "ENDPOINT_PRODUCED"
FILTERED = "FILTERED_OUT_BY_HOOK"
HOOK_FAILED = "HOOK_FAILED"


@dataclass(frozen=True)
class Live:
    people: int
    calls: int
    arrived: int  # people whose endpoint got new recommendations
    changed: int  # of these, whose first recommendations are others than before
    median_seconds: float
    example: str
    before: list[str]
    after: list[str]


@dataclass(frozen=True)
class Mailing:
    """One campaign with its hook, and its activity as GetCampaignActivities shows it."""

    hook: str
    runtime: str
    activity: dict[str, Any]
    seconds: float

    @property
    def endpoints(self) -> int:
        return int(self.activity.get("TotalEndpointCount", 0))

    @property
    def sent(self) -> int:
        return int(self.activity.get("SuccessfulEndpointCount", 0))

    @property
    def outcomes(self) -> dict[str, int]:
        """Endpoints by what became of them."""
        metrics = self.activity.get("ExecutionMetrics", {})
        return {name: int(float(count)) for name, count in metrics.items() if float(count)}

    @property
    def kept(self) -> int:
        """What the hook let through, whether or not it could be sent afterwards."""
        gone = (self.outcomes.get(name, 0) for name in (FILTERED, HOOK_FAILED))
        return self.endpoints - sum(gone)


@dataclass
class Figures:
    title: str
    application_id: str = ""
    start_seconds: float = 0.0
    seconds: float = 0.0
    identified: Sent = field(default_factory=Sent)
    sent: Sent = field(default_factory=Sent)
    endpoints_seconds: float = 0.0
    prepared: dict[str, Any] = field(default_factory=dict)
    prepare_seconds: float = 0.0
    whole_file_rows: int = 0  # of a file of which only a sample was sent as calls
    learned: Learned | None = None
    recommended: int = 0
    recommend_ms: float = 0.0
    live: Live | None = None
    mailings: list[Mailing] = field(default_factory=list)
    mails: int = 0
