"""Every setting in one table.

Flag > environment TAILORBIRD_* > tailorbird.toml > default; each value knows its origin.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid

ENVIRONMENT_PREFIX = "TAILORBIRD_"
FILE_NAME = "tailorbird.toml"


@dataclass(frozen=True)
class Setting:
    name: str
    type: type
    default: Any
    help: str


SETTINGS = (
    # where
    Setting("host", str, "127.0.0.1", "Address to listen on"),
    Setting("port", int, 8080, "Port of every API and of the console; 0 takes a free one"),
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
        "smtp_url",
        str,
        "",
        "smtp[s]://user:password@host:port; empty puts every mail into the inbox",
    ),
    Setting("smtp_connections", int, 4, "Conversations at once with the mail server"),
    Setting("smtp_timeout_seconds", float, 30.0, "A mail server silent for this long is away"),
    Setting(
        "smtp_hostname", str, "", "Name to greet the mail server with; empty is this machine's"
    ),
    Setting("inbox_copy", bool, False, "Mails sent by a server are kept in the inbox as well"),
    Setting("inbox_fsync", bool, False, "Wait for the disk with every mail of the inbox"),
    Setting(
        "channels_inbox_only",
        bool,
        False,
        "Every message of every channel goes into the inbox; no mail server, no provider is called",
    ),
    Setting(
        "channels_key",
        str,
        "",
        "Secret that encrypts channels' credentials and signs links; empty is <data>/channels_key",
    ),
    Setting(
        "channel_rates",
        str,
        "",
        "Messages a second and process, by channel: EMAIL=100,SMS=5; a channel not named is free",
    ),
    Setting(
        "channel_at_most_once",
        str,
        "",
        "Channels, with commas, on which a message is never tried twice when its end is not known",
    ),
    Setting(
        "channel_retry_seconds",
        str,
        "60,300,900",
        "A message that failed for the moment is tried again after these waits; empty is never",
    ),
    Setting(
        "outgoing_allow",
        str,
        "",
        "Private networks that customers' URLs may name, with commas: 127.0.0.0/8,10.1.0.0/16",
    ),
    Setting("outgoing_timeout_seconds", float, 10.0, "Providers and webhooks have this long"),
    Setting(
        "outgoing_ca_file",
        Path,
        Path(),
        "Certificates trusted besides the machine's for providers and webhooks (PEM)",
    ),
    Setting("outgoing_connections", int, 20, "Requests at once to one provider or webhook"),
    Setting(
        "webhook_secret",
        str,
        "",
        "whsec_... that signs webhooks; empty makes one for each application",
    ),
    Setting(
        "public_url",
        str,
        "",
        "Address of this house as people outside see it; empty leaves out unsubscribe links",
    ),
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
        "dkim_keys",
        str,
        "",
        "Keys that sign mail, with commas: example.com=selector:/path/private.pem",
    ),
    Setting(
        "bounce_address",
        str,
        "",
        "Mailbox that takes bounces (bounces@example.com); its mails go to POST /_/intake/mail",
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
        "stream_bucket",
        str,
        "tailorbird-events",
        "Bucket of the files that event streams are without an endpoint",
    ),
    Setting("sms_url", str, "", "URL of the SMS provider; empty puts every SMS into the inbox"),
    Setting("sms_headers", str, "{}", "Headers of its requests, as a JSON object"),
    Setting(
        "sms_body",
        str,
        '{"to": "{to}", "from": "{from}", "text": "{text}"}',
        "Body of its requests, JSON or a form, with {to} {from} {text} {id} {type} {callback}",
    ),
    Setting("sms_id", str, "id", "Where its answer and its receipts hold the message's id: a.0.b"),
    Setting("sms_ok", str, "", "What its answer holds when a message was taken: path=word|word"),
    Setting("sms_receipt_status", str, "status", "Where its delivery receipts hold the status"),
    Setting("sms_delivered", str, "delivered", "Statuses of delivered messages, with commas"),
    Setting(
        "sms_failed",
        str,
        "failed,undelivered,rejected,expired",
        "Statuses of messages that will not arrive, with commas",
    ),
    Setting("sms_inbound_from", str, "from", "Where an incoming SMS holds its sender"),
    Setting("sms_inbound_text", str, "text", "Where an incoming SMS holds its text"),
    Setting(
        "sms_stop_words",
        str,
        "STOP,STOPALL,UNSUBSCRIBE,CANCEL,END,QUIT",
        "Texts with which a person opts out",
    ),
    Setting("sms_start_words", str, "START,UNSTOP,YES", "Texts with which a person opts in again"),
    Setting("fcm_url", str, "https://fcm.googleapis.com", "Firebase Cloud Messaging (HTTP v1)"),
    Setting("apns_url", str, "https://api.push.apple.com", "Apple's push service"),
    Setting(
        "apns_sandbox_url",
        str,
        "https://api.sandbox.push.apple.com",
        "Apple's push service for development",
    ),
    # who
    Setting("account", str, "123456789012", "Account of the first access key"),
    Setting("region", str, "us-east-1", "Region of things made without a signed request"),
    Setting(
        "workspace",
        str,
        "tailorbird",
        "Segment workspace id",
    ),
    # engage: Pinpoint's limits (0 lifts one) and what a campaign may do
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
        "signature_skew_seconds", float, 300.0, "How far a signer's clock may be from this one"
    ),
    # work
    Setting("worker_threads", int, 4, "Background jobs run at once in one process"),
    Setting(
        "job_lease_seconds", float, 60.0, "A job of a silent worker is taken over after this long"
    ),
    # collect and prepare
    Setting("archive_bucket", str, "tailorbird-archive", "Bucket of segment-logs/..."),
    Setting("archive_seconds", float, 3600.0, "Sources are archived this often"),
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
    # learn
    Setting(
        "learn_bucket",
        str,
        "tailorbird-learn",
        "Bucket of imported parts and trained models",
    ),
    Setting(
        "learn_import_roots",
        str,
        "",
        "Folders (separated by :) whose files imports may read by file:// or path; empty: none",
    ),
    Setting(
        "learn_import_bad_rows",
        str,
        "fail",
        "A row that cannot be read: fail refuses the import (as Personalize), skip leaves it out",
    ),
    Setting(
        "learn_import_bad_numbers",
        str,
        "blank",
        "A number that describes an item or user and cannot be read: blank counts it as missing"
        " (as Personalize did with the sample of its workshop), refuse treats its row as bad",
    ),
    Setting(
        "learn_max_busy_imports",
        int,
        100,
        "Imports pending or in progress in an account and region (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_max_busy_jobs",
        int,
        100,
        "Export, deletion and batch jobs of one kind pending or in progress (Personalize: 5); "
        "0 is no limit",
    ),
    Setting(
        "learn_max_busy_trainings",
        int,
        1000,
        "Solution versions pending or in progress in an account and region (Personalize: 20); "
        "0 is no limit",
    ),
    Setting(
        "learn_max_dataset_groups",
        int,
        0,
        "Dataset groups of an account in a region (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_max_schemas",
        int,
        0,
        "Schemas of an account in a region (Personalize: 500); 0 is no limit",
    ),
    Setting(
        "learn_max_solutions",
        int,
        0,
        "Solutions of a dataset group (Personalize: 10); 0 is no limit",
    ),
    Setting(
        "learn_max_campaigns",
        int,
        0,
        "Campaigns of a dataset group (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_max_recommenders",
        int,
        0,
        "Recommenders of a dataset group (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_recipe_folder",
        str,
        "",
        "Folder whose .py files each add a recipe of one's own (docs/own-models.md)",
    ),
    Setting(
        "learn_auto_training",
        bool,
        False,
        "Train again on a schedule where a solution does not say performAutoTraining "
        "(Personalize: true)",
    ),
    Setting(
        "learn_min_interactions",
        int,
        1000,
        "Interactions an import and a training need at least (Personalize: 1000)",
    ),
    Setting(
        "learn_min_users",
        int,
        25,
        "Users with two interactions that a training needs at least (Personalize: 25)",
    ),
    Setting(
        "learn_min_returning_share",
        float,
        0.01,
        "Share of users with two interactions that a training needs (Personalize: 1 %)",
    ),
    Setting(
        "learn_dense_items",
        int,
        12_000,
        "Items that the dense linear models cover; the sparse models cover the others",
    ),
    Setting(
        "learn_event_item_keys",
        str,
        "itemId,id",
        "Keys of an event's properties that name the item, the first one there counts",
    ),
    Setting(
        "learn_strict_filters",
        bool,
        True,
        "Filters refuse what Personalize's do: booleans, texts, two datasets in one expression",
    ),
    Setting(
        "learn_max_filters", int, 1000, "Filters of a dataset group (Personalize: 30); 0: no limit"
    ),
    Setting(
        "learn_max_filter_fields",
        int,
        100,
        "Distinct fields in one filter (Personalize: 10); 0 is no limit",
    ),
    Setting(
        "learn_max_group_filter_fields",
        int,
        200,
        "Distinct fields in all filters of a group (Personalize: 20); 0 is no limit",
    ),
    Setting(
        "learn_exploration_weight",
        float,
        0.0,
        "Exploration of campaigns that name no explorationWeight (Personalize: 0.3)",
    ),
    Setting(
        "learn_served_days",
        float,
        7.0,
        "Days for which campaigns that explore remember the lists they have shown",
    ),
    Setting(
        "learn_realistic_timing",
        float,
        0.0,
        "Share of the service's own waits before things become ACTIVE: 1 is its pace, 0 at once",
    ),
    Setting(
        "learn_max_recommendations_per_second",
        float,
        0.0,
        "Recommendations a second of one campaign and process (Personalize: 500); 0 is no limit",
    ),
    Setting(
        "learn_max_put_events_per_second",
        float,
        0.0,
        "PutEvents a second of an account and process (Personalize: 1000); 0 is no limit",
    ),
    Setting(
        "learn_max_puts_per_second",
        float,
        0.0,
        "PutItems, PutUsers, PutActions a second of one dataset (Personalize: 10); 0 is no limit",
    ),
    Setting(
        "learn_automatic_update_hours",
        float,
        2.0,
        "Hours between automatic updates of deployed versions (Personalize: 2); 0 turns off all "
        "automatic updates",
    ),
    Setting(
        "learn_trend_minutes",
        float,
        0.0,
        "Minutes between updates of what is trending; 0 goes by the recipe's frequency, "
        "at most 2 hours",
    ),
    Setting(
        "learn_recommender_days",
        float,
        7.0,
        "Days between trainings of a recommender when something came in (Personalize: 7); 0: never",
    ),
    Setting(
        "learn_attribution_minutes",
        float,
        15.0,
        "Minutes between metric attribution reports of live events; 0 writes none of them",
    ),
    Setting(
        "learn_transformer_seconds",
        float,
        60.0,
        "Seconds the transformer of a -v2 recipe learns where torch is installed; 0: it has none",
    ),
    Setting(
        "learn_transformer_rows",
        int,
        50_000,
        "Interactions from which on such a recipe gets a transformer unasked",
    ),
    Setting(
        "learn_transformer_device",
        str,
        "auto",
        "Where it learns: cpu, cuda, mps, or auto, which takes cuda where there is one",
    ),
    Setting("learn_training_threads", int, 2, "Threads of linear algebra in one training"),
    Setting("learn_seed", int, 0, "Seed of the split into training and test users"),
    # functions
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
    Setting(
        "test_clock", bool, False, "POST /_/clock moves the clock of every schedule, for tests"
    ),
    Setting("ephemeral", bool, False, "Temporary data and POST /_/reset, for test suites"),
)

BY_NAME = {setting.name: setting for setting in SETTINGS}


class Settings:
    """The settings in force: `settings.port` reads one, `settings.origin("port")` says whence."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._origins = dict(origins)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"There is no setting {name!r}") from None

    def origin(self, name: str) -> str:
        return self._origins[name]

    def replace(self, **values: Any) -> Settings:
        """The same settings with some given as flags."""
        for name in values:
            _known(name, "flag")
        return Settings(self._values | values, self._origins | dict.fromkeys(values, "flag"))

    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data / 'tailorbird.db'}"


def load(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read every setting from its most telling origin; Invalid names the one that is wrong."""
    values = {s.name: s.default for s in SETTINGS}
    origins = dict.fromkeys(values, "default")
    file = (folder or Path.cwd()) / FILE_NAME
    if file.exists():
        _lay(values, origins, _read_file(file), str(file))
    environment = os.environ if environment is None else environment
    named = {
        key.removeprefix(ENVIRONMENT_PREFIX).lower(): text
        for key, text in environment.items()
        if key.startswith(ENVIRONMENT_PREFIX)
    }
    _lay(values, origins, {k: v for k, v in named.items() if k in BY_NAME}, "environment")
    _lay(values, origins, {k: v for k, v in (flags or {}).items() if v is not None}, "flag")
    return Settings(values, origins)


def _lay(
    values: dict[str, Any], origins: dict[str, str], given: Mapping[str, Any], origin: str
) -> None:
    for name, value in given.items():
        values[name] = _convert(_known(name, origin), value, origin)
        origins[name] = origin


def _known(name: str, origin: str) -> Setting:
    if name not in BY_NAME:
        raise Invalid(f"{origin}: there is no setting {name!r}; `tailorbird settings` lists them")
    return BY_NAME[name]


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{file} is not valid TOML: {error}") from None


def _convert(setting: Setting, value: Any, origin: str) -> Any:
    try:
        if setting.type is bool:
            return _boolean(value)
        if setting.type is Path:
            return Path(value).expanduser()
        return setting.type(value)
    except (TypeError, ValueError):
        kind = setting.type.__name__
        raise Invalid(
            f"{origin}: {setting.name} is {value!r}, which is not of type {kind}"
        ) from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(value)
