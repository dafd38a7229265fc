"""Where the house stands, whose it is, how it works."""

from pathlib import Path

from tailorbird.settings.setting import Setting

SETTINGS = (
    Setting("host", str, "127.0.0.1", "Address to listen on"),
    Setting("port", int, 8080, "Port of every API and of the console; 0 takes a free one"),
    Setting("body_seconds", float, 60.0, "Wait for the next piece of a request's body [I]"),
    Setting("processes", int, 1, "Processes that serve the port together, on the same data"),
    Setting(
        "data",
        Path,
        Path("tailorbird-data"),
        "Folder of database, objects, models, inbox and secrets",
    ),
    Setting(
        "database_url", str, "", "sqlite:///... or postgresql://...; empty is <data>/tailorbird.db"
    ),
    Setting(
        "s3_endpoint_url",
        str,
        "",
        "S3-compatible server for s3:// objects; empty is <data>/objects",
    ),
    Setting(
        "s3_access_key_id", str, "", "Access key for that server; empty takes AWS_ACCESS_KEY_ID"
    ),
    Setting(
        "s3_secret_access_key", str, "", "Secret for that server; empty takes AWS_SECRET_ACCESS_KEY"
    ),
    Setting(
        "public_url",
        str,
        "",
        "Address of this house as people outside see it; empty leaves out unsubscribe links",
    ),
    Setting("account", str, "123456789012", "Account of the first access key"),
    Setting("region", str, "us-east-1", "Region of things made without a signed request"),
    Setting(
        "workspace",
        str,
        "tailorbird",
        "Segment workspace id",
    ),
    Setting(
        "signature_skew_seconds", float, 300.0, "How far a signer's clock may be from this one"
    ),
    Setting("worker_threads", int, 4, "Background jobs run at once in one process"),
    Setting(
        "job_lease_seconds", float, 60.0, "A job of a silent worker is taken over after this long"
    ),
    Setting(
        "test_clock", bool, False, "POST /_/clock moves the clock of every schedule, for tests"
    ),
    Setting("ephemeral", bool, False, "Temporary data and POST /_/reset, for test suites"),
)
