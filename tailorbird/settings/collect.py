"""Segment's calls, the archive, warehouses, deliveries."""

from pathlib import Path

from tailorbird.settings.setting import Setting

SETTINGS = (
    Setting("archive_bucket", str, "tailorbird-archive", "Bucket of segment-logs/..."),
    Setting("archive_seconds", float, 3600.0, "Sources are archived this often"),
    Setting(
        "prepare_native",
        bool,
        True,
        "prepare reads usual lines of an archive in C where that was built; false: all in Python",
    ),
    Setting("warehouse_seconds", float, 3600.0, "Sources are loaded into warehouses this often"),
    Setting(
        "warehouses",
        Path,
        Path(),
        "Folder of warehouses that are files; empty is <data>/warehouses",
    ),
    Setting("archive_file_bytes", int, 100_000_000, "Size at which an archive file is cut"),
    Setting(
        "segment_strict",
        bool,
        False,
        "Answer 400 or 401 to calls that Segment answers with 200 and drops",
    ),
    Setting(
        "segment_requests_per_second",
        float,
        1000.0,
        "Tracking requests taken a second by this process, more get 429; 0 is without a limit",
    ),
    Setting(
        "tracking_token",
        str,
        "",
        "The OAuth token that Bearer authorization of tracking calls must carry; empty: any",
    ),
    Setting(
        "segment_oauth_clients",
        str,
        "",
        "Who gets tracking tokens from POST /token: CLIENT=FILE with its RSA public key, by commas",
    ),
    Setting("segment_oauth_seconds", int, 86_400, "How long a tracking token is good [I]"),
    Setting(
        "segment_oauth_names",
        str,
        "",
        "Addresses of this server that a client's assertion may be for (aud), by commas, beside "
        "Segment's own and the address of the socket",
    ),
    Setting(
        "collect_fsync",
        bool,
        True,
        "Wait for the disk before a call's 200; false survives a killed process, not a power cut",
    ),
    Setting("log_hours", float, 24.0, "Calls stay in the log at least this long after archiving"),
    Setting("delivery_seconds", float, 5.0, "Time a destination has for one call"),
    Setting("delivery_retry_hours", float, 4.0, "A call that fails is tried again for this long"),
    Setting("delivery_concurrency", int, 4, "Calls under way at once to one destination"),
    Setting(
        "retry_function_errors", bool, False, "Also retry calls on which a function raised an error"
    ),
    Setting(
        "loop_depth", int, 3, "Calls a function may cause by its own calls before they are dropped"
    ),
)
