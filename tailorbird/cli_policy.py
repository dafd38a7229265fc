"""Commands that print what the second seed asks for: policies, and the script of the Glue job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

policy = App(
    name="policy", help="Policies and scripts of the second seed, with your names in them."
)

External = Annotated[
    tuple[str, ...],
    Parameter(name="--external-id", help="Id of a source, or of the workspace; several times."),
]


@policy.command(name="bucket-policy")
def bucket_policy(bucket: str) -> None:
    """Print the bucket policy that lets Personalize read a bucket.

    Args:
        bucket: Name of the bucket that holds the CSV.
    """
    from tailorbird.prepare import policies

    _write(policies.bucket_policy(bucket))


@policy.command(name="glue-service")
def glue_service() -> None:
    """Print what a Glue job needs of AWS: the seed's Policy 1."""
    from tailorbird.prepare import policies

    _write(policies.glue_service())


@policy.command(name="glue-bucket")
def glue_bucket(bucket: str) -> None:
    """Print what a Glue job needs of the bucket: the seed's Policy 2.

    Args:
        bucket: Name of the bucket with segment-logs/ and transformed/.
    """
    from tailorbird.prepare import policies

    _write(policies.glue_bucket(bucket))


@policy.command(name="glue-script")
def glue_script(mapping: Path | None = None) -> None:
    """Print the seed's Glue job for a mapping's events and item, to run on AWS Glue itself.

    Args:
        mapping: The mapping file; without it the seed's own names.
    """
    from tailorbird.prepare import SEED, glue, load

    chosen = load(mapping) if mapping else SEED
    sys.stdout.write(glue.script(chosen.interactions))


@policy.command(name="invoke")
def invoke(*functions: str) -> None:
    """Print the policy that lets Segment invoke functions.

    Args:
        functions: ARNs of the functions.
    """
    from tailorbird.prepare import policies

    _write(policies.invoke(functions))


@policy.command(name="iam-role")
def iam_role(service: str = "segment", *, external_id: External = ()) -> None:
    """Print the trust policy of a role: who may take it on.

    Args:
        service: segment (with --external-id), or a service of AWS: glue, lambda, personalize.
    """
    from tailorbird.prepare import policies

    if service == "segment":
        _write(policies.segment_trust(external_id))
    else:
        _write(policies.service_trust(service))


@policy.command(name="function")
def function() -> None:
    """Print what the second seed's function asks of Personalize."""
    from tailorbird.prepare import policies

    _write(policies.function_policy())


@policy.command(name="personalize-full-access")
def personalize_full_access() -> None:
    """Print AmazonPersonalizeFullAccess as the seed shows it."""
    from tailorbird.prepare import policies

    _write(policies.full_access())


@policy.command(name="personalize-execution")
def personalize_execution(bucket: str) -> None:
    """Print what Personalize needs of the bucket it imports from.

    Args:
        bucket: Name of the bucket.
    """
    from tailorbird.prepare import policies

    _write(policies.execution_policy(bucket))


def _write(document: dict[str, Any]) -> None:
    from tailorbird.prepare import policies

    sys.stdout.write(policies.text(document))
