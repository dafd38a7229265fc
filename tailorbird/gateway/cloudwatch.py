"""CloudWatch's reads of metric attributions: operation names -> functions of the room."""

from tailorbird.learn import attribution_metrics

OPERATIONS = {
    "GetMetricData": attribution_metrics.get_metric_data,
    "ListMetrics": attribution_metrics.list_metrics,
}
