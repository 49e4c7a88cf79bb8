from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from medusa.reflector.admin.exposition import exposition, summed
from medusa.reflector.metrics import Metrics


def metrics(accepted: int, waits: list[float]) -> str:
    made = Metrics()
    for _ in range(accepted):
        made.accepted()
    for wait in waits:
        made.linked(wait, 0.001)
    made.refused(400 + accepted)
    return exposition(made.families()).decode()


def test_the_sum_of_some() -> None:
    text = summed([metrics(1, [2.0]), metrics(2, [20.0, 2.0])]).decode()
    found = {(s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(text) for s in f.samples}
    assert found["medusa_connections_accepted_total",] == 3
    assert (found["medusa_refusals_total", "401"], found["medusa_refusals_total", "402"]) == (1, 1)
    assert (found["medusa_wait_seconds_bucket", "3.0"], found["medusa_wait_seconds_count",]) == (2, 3)
    assert found["medusa_wait_seconds_sum",] == 24
    assert found["medusa_sessions", "linked"] == 0
    assert "# TYPE medusa_wait_seconds histogram" in text
    assert "# TYPE medusa_connections_accepted_total counter" in text


def test_buckets_stay_in_their_order() -> None:
    text = summed([metrics(0, [2.0])]).decode()
    buckets = [line for line in text.splitlines() if line.startswith("medusa_wait_seconds_bucket")]
    assert buckets[0].startswith('medusa_wait_seconds_bucket{le="1.0"}')
    assert buckets[-1] == 'medusa_wait_seconds_bucket{le="+Inf"} 1.0'
