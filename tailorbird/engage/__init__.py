"""The parlour, Pinpoint's words: endpoints, segments, campaigns, activities, hooks, templates,
the ledger.
"""

from tailorbird.engage.campaign_run import job_kinds
from tailorbird.engage.endpoints import update_endpoints
from tailorbird.engage.feedback import take_feedback
from tailorbird.engage.room import Engage

__all__ = ["Engage", "job_kinds", "take_feedback", "update_endpoints"]
