"""The figure that is read from a reflector's metrics."""

from __future__ import annotations

import pytest

from bench.measure import MeasurementFailed, mean_claim
from medusa.reflector.admin.exposition import exposition
from medusa.reflector.metrics import Metrics


def test_a_claim_is_the_mean_of_all_claims_and_of_nothing_else() -> None:
    metrics = Metrics()
    for operation, seconds in [("claim", 0.001), ("claim", 0.002), ("release", 5.0)]:
        metrics.asked_directory(operation, seconds, failed=False)
    assert mean_claim(exposition(metrics.families()).decode()) == pytest.approx(1500)


def test_without_a_claim_there_is_no_mean() -> None:
    metrics = Metrics()
    metrics.asked_directory("release", 5.0, failed=False)
    with pytest.raises(MeasurementFailed, match="no claim"):
        mean_claim(exposition(metrics.families()).decode())
