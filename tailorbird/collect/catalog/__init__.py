"""The types of destinations there are, by name."""

from tailorbird.collect.catalog.amazon_lambda import AMAZON_LAMBDA, AMAZON_PERSONALIZE
from tailorbird.collect.catalog.amazon_pinpoint import AMAZON_PINPOINT
from tailorbird.collect.catalog.aws_s3 import AWS_S3
from tailorbird.collect.catalog.definition import DestinationType
from tailorbird.collect.catalog.personalize_direct import PERSONALIZE_DIRECT
from tailorbird.collect.catalog.webhooks import WEBHOOKS
from tailorbird.errors import NotFound

ALL = (AMAZON_LAMBDA, AMAZON_PERSONALIZE, PERSONALIZE_DIRECT, AMAZON_PINPOINT, AWS_S3, WEBHOOKS)
TYPES = {kind.name: kind for kind in ALL}
OF_FILES = tuple(kind.name for kind in ALL if kind.takes_files)


def find(given: str) -> DestinationType:
    """A type by its name, slug or id in the catalogue."""
    for kind in TYPES.values():
        if given in (kind.name, kind.slug, kind.id, kind.old_name or kind.name):
            return kind
    known = ", ".join(f"{kind.name!r}" for kind in TYPES.values())
    raise NotFound(f"There is no type of destination {given!r}; there are {known}")
