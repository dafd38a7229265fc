"""The workshop: customers' own code in Lambda's words, behind walls, for callers who may."""

from tailorbird.functions.callers import RoleCaller, ServiceCaller
from tailorbird.functions.execution import Invocation
from tailorbird.functions.invocations import invoke, job_kinds
from tailorbird.functions.room import Functions

__all__ = ["Functions", "Invocation", "RoleCaller", "ServiceCaller", "invoke", "job_kinds"]
