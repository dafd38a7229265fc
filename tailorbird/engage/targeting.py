"""May this endpoint be sent to? The checks after segment membership, and again after the hook.
Pure.

Order and names: Pinpoint user guide, execution metrics of a campaign activity.
"""

from __future__ import annotations

from collections.abc import Collection

from tailorbird.engage import ledger


def refusal(
    channel: str | None, address: str | None, opt_out: str | None, status: str | None,
    channels: Collection[str],
) -> str | None:  # fmt: skip
    """The ledger state that keeps an endpoint from being sent to, or None."""
    if opt_out == "ALL":
        return ledger.OPTED_OUT
    if status == "INACTIVE":
        return ledger.INACTIVE
    if not channel:
        return ledger.MISSING_CHANNEL
    if channel not in channels:
        return ledger.WRONG_CHANNEL
    if not address:
        return ledger.MISSING_ADDRESS
    return None
