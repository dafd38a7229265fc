"""CloudWatch Logs' read calls: operation names -> functions of the room."""

from tailorbird.functions import log_reads

OPERATIONS = {
    "DescribeLogGroups": log_reads.describe_log_groups,
    "DescribeLogStreams": log_reads.describe_log_streams,
    "FilterLogEvents": log_reads.filter_log_events,
    "GetLogEvents": log_reads.get_log_events,
}
