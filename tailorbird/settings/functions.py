"""Sandboxes, environments, what functions may reach."""

from tailorbird.settings.setting import Setting

SETTINGS = (
    Setting(
        "functions_sandbox",
        str,
        "",
        "Walls around functions: bwrap, rlimit or none; empty is the best that works here",
    ),
    Setting("functions_max_environments", int, 64, "Execution environments alive at once"),
    Setting("functions_max_per_function", int, 16, "Execution environments of one function"),
    Setting(
        "functions_freeze",
        bool,
        True,
        "A function's process stands still between invocations, its threads too, as in AWS",
    ),
    Setting(
        "functions_templates",
        int,
        4,
        "Python interpreters kept loaded with boto3, of which environments are forked; 0 for none",
    ),
    Setting("functions_idle_seconds", float, 600.0, "An unused environment is ended after this"),
    Setting(
        "functions_wait_seconds",
        float,
        10.0,
        "An invocation waits this long for a free environment before 429; AWS does not wait",
    ),
    Setting(
        "functions_memory_limit",
        bool,
        True,
        "Kill a function that takes more than its MemorySize, where the kernel's groups allow it",
    ),
    Setting(
        "functions_egress",
        str,
        "",
        "Hosts functions may reach besides this house, with commas: api.example.com, *.shop.test",
    ),
    Setting(
        "functions_legacy_runtimes",
        str,
        "python3.6,python3.7",
        "Runtimes that get the legacy bundle (boto3 of 2021) when it is here; with commas",
    ),
    Setting(
        "functions_record_mb",
        float,
        64.0,
        "Recorded invocations of one function take at most this on the disk; the oldest go first",
    ),
    Setting(
        "functions_log_days",
        float,
        0.0,
        "A log stream nobody wrote to for so many days is removed; 0 keeps all, as CloudWatch does",
    ),
    Setting(
        "functions_max_timeout_seconds", int, 900, "The longest timeout a function may be given"
    ),
    Setting(
        "functions_hot_reload_roots",
        str,
        "",
        "Folders, with commas, below which a folder may be a function's code (hot reload)",
    ),
    Setting(
        "functions_account_concurrency",
        int,
        1000,
        "Concurrent executions of an account, of which functions may reserve all but 100",
    ),
    Setting(
        "functions_require_source_arn",
        bool,
        False,
        "A service may invoke a function only by a statement with a condition on aws:SourceArn",
    ),
    Setting(
        "functions_unknown_role",
        str,
        "allow",
        "A function whose role was never made here: allow gives it the account's rights, deny none",
    ),
)
