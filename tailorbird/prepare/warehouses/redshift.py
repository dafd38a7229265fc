"""Redshift: UNLOAD, as the seed writes it, run through redshift_connector or psycopg."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from tailorbird.errors import Invalid, Unavailable
from tailorbird.prepare.mapping import Dataset, Warehouse
from tailorbird.prepare.warehouses.select import Known, columns_query, counts, inner, known_columns
from tailorbird.prepare.warehouses.unloading import Keys, report, s3, secret

PORT = 5439
MISSING = (
    "Redshift is reached through redshift_connector or psycopg: "
    "pip install 'tailorbird[redshift]' or 'tailorbird[postgres]'"
)


def sql(
    dataset: Dataset, house: Warehouse, output: str, keys: Keys, known: Known | None = None
) -> str:
    """The statement. Beyond the seed's, values are quoted as CSV has it."""
    query = inner(dataset, house, "redshift", known=known).replace("'", "''")
    shape = ["DELIMITER AS ','"] if dataset.literal else ["ALLOWOVERWRITE"]
    header = ["HEADER"] if dataset.literal else ["FORMAT AS CSV", "HEADER"]
    return "\n".join(
        [
            "unload ('",
            query,
            "')",
            "to",
            f"'{s3(output)}'",
            _authority(keys),
            *header,
            f"REGION AS '{secret(keys.region, 'region')}'",
            *shape,
            "PARALLEL OFF;",
        ]
    )


def unload(dataset: Dataset, house: Warehouse, url: str, output: str, keys: Keys) -> dict[str, Any]:
    """Run it on `redshift://user:password@host:5439/database`; the report.

    The rows of the report are of the tables as they were just before.
    """
    statement = sql(dataset, house, output, keys)
    connection, errors = _connect(url)
    try:
        cursor = connection.cursor()
        found: Any = []
        known: Known | None = None
        if not dataset.literal:
            cursor.execute(columns_query(house))
            known = known_columns(cursor.fetchall())
            statement = sql(dataset, house, output, keys, known)
            cursor.execute(counts(dataset, house, "redshift"))
            found = cursor.fetchall()
        cursor.execute(statement)
        connection.commit()
    except errors as error:
        raise Invalid(f"Redshift: {keys.told(error)}") from None
    finally:
        connection.close()
    shown = sql(dataset, house, output, keys.hidden(), known)
    return report(found, output, "redshift") | {"sql": shown}


def _connect(url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """An open connection, and what its driver raises."""
    parts = urlsplit(url)
    if parts.scheme not in ("redshift", "postgresql") or not parts.path.strip("/"):
        raise Invalid(f"{url!r} is not redshift://user:password@host:5439/database")
    try:
        import redshift_connector
    except ImportError:
        return _psycopg(url)
    try:
        connection = redshift_connector.connect(
            host=parts.hostname or "",
            port=parts.port or PORT,
            database=parts.path.strip("/"),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )
    except redshift_connector.Error as error:
        raise Unavailable(f"Redshift does not answer: {error}") from None
    return connection, (redshift_connector.Error,)


def _psycopg(url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import psycopg
    except ImportError:
        raise Invalid(MISSING) from None
    scheme, _, rest = url.partition("://")
    del scheme
    try:
        return psycopg.connect(f"postgresql://{rest}"), (psycopg.Error,)
    except psycopg.OperationalError as error:
        raise Unavailable(f"Redshift does not answer: {error}") from None


def _authority(keys: Keys) -> str:
    if keys.role:
        return f"iam_role '{secret(keys.role, 'role')}'"
    parts = [
        f"aws_access_key_id={secret(keys.access_key, 'access key')}",
        f"aws_secret_access_key={secret(keys.secret_key, 'secret key')}",
    ]
    if keys.token:
        parts.append(f"token={secret(keys.token, 'token')}")
    return f"credentials '{';'.join(parts)}'"
