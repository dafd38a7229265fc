"""Snowflake: COPY INTO a location, as the seed writes it, run through Snowflake's connector."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tailorbird.errors import Invalid, Unavailable
from tailorbird.prepare.mapping import Dataset, Warehouse
from tailorbird.prepare.warehouses.select import (
    SNOWFLAKE_INDENT,
    Known,
    columns_query,
    counts,
    inner,
    known_columns,
)
from tailorbird.prepare.warehouses.unloading import Keys, report, s3, secret

FORMAT = (
    "file_format=(type=csv compression=none field_optionally_enclosed_by='\"' null_if=()"
    " empty_field_as_null=false)"
)
MORE = ("header = true", "overwrite = true", "max_file_size = 5368709120")
MISSING = "Snowflake is reached through its connector: pip install 'tailorbird[snowflake]'"


def sql(
    dataset: Dataset, house: Warehouse, output: str, keys: Keys, known: Known | None = None
) -> str:
    """The statement. Beyond the seed's there is a header, and no compression."""
    if not output.endswith(".csv"):
        raise Invalid(f"output is {output!r}; a file that ends in .csv is right")
    query = inner(dataset, house, "snowflake", SNOWFLAKE_INDENT, known)
    target = s3(output) if dataset.literal else f"'{s3(output)}'"
    single = "single = true -- Personlize requires a single CSV file"
    lines = ["copy into", target, "from", "("]
    ending = [")", "file_format=(type=csv)" if dataset.literal else FORMAT, single]
    ending += [] if dataset.literal else MORE
    ending.append(f"{_authority(keys)};")
    return "\n".join(["    " + line for line in lines] + [query] + ["    " + e for e in ending])


def unload(dataset: Dataset, house: Warehouse, url: str, output: str, keys: Keys) -> dict[str, Any]:
    """Run it on `snowflake://user:password@account/database?warehouse=...&role=...`; the report."""
    statement = sql(dataset, house, output, keys)
    parts = urlsplit(url)
    if parts.scheme != "snowflake" or not parts.hostname:
        raise Invalid(f"{url!r} is not snowflake://user:password@account/database?warehouse=...")
    try:
        from snowflake import connector
    except ImportError:
        raise Invalid(MISSING) from None
    try:
        connection = connector.connect(
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            account=parts.hostname,
            database=parts.path.strip("/"),
            **dict(parse_qsl(parts.query)),
        )
    except connector.Error as error:
        raise Unavailable(f"Snowflake does not answer: {error}") from None
    with connection:
        try:
            cursor = connection.cursor()
            found: Any = []
            known: Known | None = None
            if not dataset.literal:
                known = known_columns(cursor.execute(columns_query(house)).fetchall())
                statement = sql(dataset, house, output, keys, known)
                found = cursor.execute(counts(dataset, house, "snowflake")).fetchall()
            cursor.execute(statement)
        except connector.Error as error:
            raise Invalid(f"Snowflake: {keys.told(error)}") from None
    shown = sql(dataset, house, output, keys.hidden(), known)
    return report(found, output, "snowflake") | {"sql": shown}


def _authority(keys: Keys) -> str:
    if keys.role:
        return f"storage_integration = {secret(keys.role, 'storage integration')}"
    parts = [
        f"aws_key_id='{secret(keys.access_key, 'access key')}'",
        f"aws_secret_key='{secret(keys.secret_key, 'secret key')}'",
    ]
    if keys.token:
        parts.append(f"aws_token='{secret(keys.token, 'token')}'")
    return f"credentials = ({' '.join(parts)})"
