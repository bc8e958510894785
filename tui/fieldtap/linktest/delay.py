"""Latency, RFC 2544 section 26.2: at the throughput, in repeated long streams."""

from collections.abc import Sequence
from statistics import fmean, pstdev

from fieldtap_core.reports import Latency

from fieldtap.linktest.bench import DOUBTFUL_LATE_NS, InvalidTestError, tell_delay
from fieldtap.linktest.judging import doubt, judge
from fieldtap.linktest.parts import SizeUnderTest
from fieldtap.linktest.results import LatencyResult
from fieldtap.linktest.trial import Trial, TrialResult


def measure(size: SizeUnderTest, throughput_pps: float | None) -> LatencyResult:
    """Time the frames of streams at the throughput of one size."""
    bench, settings = size.bench, size.settings
    first = len(bench.trials)
    if throughput_pps is None:
        return _without(size, None, "there is no throughput to measure it at", first)
    flows = bench.flows(size.frame_bytes, throughput_pps)
    trial = Trial(purpose="latency", flows=flows, duration_s=settings.latency_s)
    try:
        results = [bench.run(trial) for _ in range(settings.latency_repetitions)]
    except InvalidTestError as error:
        return _without(size, throughput_pps, str(error), first)
    timed = _latencies(results)
    if not timed:
        return _without(size, throughput_pps, "no frame could be timed", first)
    return _judged(size, throughput_pps, timed, first)


def _latencies(results: Sequence[TrialResult]) -> list[Latency]:
    found = [flow.latency_ns for result in results for flow in result.flows]
    return [latency for latency in found if latency is not None and latency.samples > 0]


def _judged(
    size: SizeUnderTest, rate_pps: float, timed: Sequence[Latency], first: int
) -> LatencyResult:
    means = [latency.p50 if latency.mean is None else latency.mean for latency in timed]
    mean = fmean(means)
    limit = size.settings.limits.latency_ns
    check = None
    if limit is not None:
        text = f"latency {mean / 1000:,.1f} us, {limit / 1000:,.1f} us allowed"
        check = (text, mean <= limit)
    valid = [result for result in size.bench.trials[first:] if result.valid]
    notes = list(size.notes_since(first))
    if losses := sum(result.lost for result in valid):
        notes.append(f"{losses:,} frames were lost at the throughput's rate")
    late_ns = max(result.late_max_ns for result in valid)
    if late_ns > DOUBTFUL_LATE_NS:
        notes.append(
            f"frames left up to {late_ns / 1e6:.1f} ms late, in bursts: this machine may have "
            "caused the longest latencies"
        )
    judgement = judge([check], notes)
    if limit is not None and mean - late_ns <= limit:
        judgement = doubt(judgement, tell_delay(late_ns))
    return LatencyResult(
        frame_bytes=size.frame_bytes,
        rate_pps=rate_pps,
        repetitions=size.settings.latency_repetitions,
        samples=sum(latency.samples for latency in timed),
        mean_ns=mean,
        deviation_ns=pstdev(means),
        min_ns=min(latency.min for latency in timed),
        p50_ns=max(latency.p50 for latency in timed),
        p99_ns=max(latency.p99 for latency in timed),
        p999_ns=max(latency.p999 for latency in timed),
        max_ns=max(latency.max for latency in timed),
        source=timed[0].source,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=size.trials_since(first),
    )


def _without(size: SizeUnderTest, rate_pps: float | None, reason: str, first: int) -> LatencyResult:
    return LatencyResult(
        frame_bytes=size.frame_bytes,
        rate_pps=rate_pps,
        verdict="invalid",
        reasons=(reason,),
        trials=size.trials_since(first),
    )
