"""Pinpoint's limits (0 lifts one), campaigns, hooks, event streams."""

from tailorbird.settings.setting import Setting

SETTINGS = (
    Setting(
        "email_tracking",
        bool,
        True,
        "With public_url: a pixel and rewritten links tell who opened a mail and clicked in it",
    ),
    Setting(
        "tracking_ignore",
        str,
        "bot,crawler,spider,scanner,slurp,facebookexternalhit,headlesschrome,barracuda,mimecast,"
        "proofpoint,safelinks",
        "Opens and clicks of user agents with one of these words are not counted",
    ),
    Setting(
        "engage_feedback",
        bool,
        True,
        "Bounces make endpoints INACTIVE; complaints, unsubscribe links and STOP set OptOut",
    ),
    Setting(
        "delivered_on_acceptance",
        str,
        "EMAIL",
        "Of EMAIL and SMS, with commas: a message counts as delivered when its server takes it;"
        " of the others when a report says so",
    ),
    Setting(
        "sms_price_millicents",
        float,
        0.0,
        "What one part of an SMS costs, in thousandths of a US cent: in events and KPIs",
    ),
    Setting(
        "stream_kinesis_url",
        str,
        "",
        "Kinesis-compatible endpoint that event streams go to; empty writes them to stream_bucket",
    ),
    Setting(
        "stream_firehose_url",
        str,
        "",
        "Firehose-compatible endpoint that event streams go to; empty writes them to stream_bucket",
    ),
    Setting("stream_access_key_id", str, "", "Key for these; empty is the environment's own"),
    Setting("stream_secret_access_key", str, "", "Its secret"),
    Setting(
        "stream_max_waiting",
        int,
        10_000_000,
        "Records of an application that wait for a stream which is away; beyond, the oldest are"
        " dropped and counted; 0 is no limit",
    ),
    Setting(
        "stream_bucket",
        str,
        "tailorbird-events",
        "Bucket of the files that event streams are without an endpoint",
    ),
    Setting("engage_max_endpoints_per_user", int, 15, "Endpoints of one user; 0 is no limit"),
    Setting(
        "engage_max_attribute_names", int, 250, "Attribute names of an application; 0 is no limit"
    ),
    Setting("engage_max_attribute_values", int, 50, "Values of one attribute; 0 is no limit"),
    Setting(
        "engage_max_attribute_value_chars",
        int,
        100,
        "Characters of one attribute value; 0 is no limit",
    ),
    Setting("engage_max_endpoint_kb", int, 15, "Kilobytes of one endpoint; 0 is no limit"),
    Setting(
        "engage_address_takeover",
        bool,
        True,
        "Writing an endpoint makes others with its address INACTIVE",
    ),
    Setting("engage_each_limit", int, 15, "List items that {{#each}} shows; 0 is no limit"),
    Setting(
        "engage_escape_text", bool, False, "{{x}} is HTML-escaped in subjects and texts as well"
    ),
    Setting(
        "engage_max_active_campaigns", int, 200, "Active campaigns of one account; 0 is no limit"
    ),
    Setting(
        "engage_max_event_campaigns", int, 25, "Event campaigns of an application; 0 is no limit"
    ),
    Setting(
        "engage_max_in_app_campaigns", int, 25, "In-app campaigns of an application; 0 is no limit"
    ),
    Setting("engage_max_event_types", int, 1500, "Event types of an application; 0 is no limit"),
    Setting(
        "engage_max_event_keys",
        int,
        500,
        "Names of event attributes and metrics of an application; 0 is no limit",
    ),
    Setting(
        "engage_kpi_days",
        int,
        31,
        "Days of one KPI question, the oldest 90 days ago; 0 is no limit",
    ),
    Setting(
        "engage_max_active_transfers",
        int,
        10,
        "Import and export jobs of an application at work at once; 0 is no limit",
    ),
    Setting(
        "engage_catch_up",
        bool,
        False,
        "Every missed run of a recurring campaign is made up for, instead of one of them",
    ),
    Setting("engage_hook_batch_size", int, 50, "Endpoints that one call of a campaign hook sees"),
    Setting("engage_hook_concurrency", int, 8, "Batches of campaigns worked on at once"),
    Setting(
        "engage_recommend_before_hook",
        bool,
        False,
        "A campaign's recommender is asked before its hook, which then sees the recommendations",
    ),
    Setting("engage_hook_timeout_seconds", float, 15.0, "A campaign hook has this long to answer"),
    Setting(
        "engage_hook_away_seconds",
        float,
        600.0,
        "A campaign waits this long for a hook's URL that takes no connection, before its batches"
        " fail; 0 lets them fail after three attempts",
    ),
    Setting(
        "engage_hook_away_busy",
        bool,
        False,
        "Hook functions that are throttled or cannot start, and URLs that answer 429, 502, 503 or"
        " 504, are waited for as well, instead of failing after three attempts",
    ),
    Setting(
        "engage_hook_lenient",
        bool,
        False,
        "Hooks may return the whole event, {Endpoints} or {statusCode, body}",
    ),
    Setting(
        "engage_hook_empty_attributes",
        bool,
        False,
        "Hooks see Attributes: {} for endpoints that have none",
    ),
    Setting(
        "engage_channel_patience_seconds",
        float,
        900.0,
        "A campaign waits this long for a channel that is away",
    ),
    Setting(
        "engage_channel_away_seconds",
        float,
        10.0,
        "Time between two tries while a channel is away",
    ),
)
