"""Mail, SMS, push and webhooks: servers, credentials, rates."""

from pathlib import Path

from tailorbird.settings.setting import Setting

SETTINGS = (
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
)
