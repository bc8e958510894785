"""Back-to-back frames, RFC 2544 section 26.4 as corrected by RFC 9004: the buffer of a device."""

from collections.abc import Sequence
from math import ceil
from statistics import fmean, pstdev

from fieldtap.linktest import figures
from fieldtap.linktest.bench import Ceiling, InvalidTestError
from fieldtap.linktest.judging import judge
from fieldtap.linktest.parts import SizeUnderTest
from fieldtap.linktest.results import BackToBackResult, Verdict
from fieldtap.linktest.search import longest_burst
from fieldtap.linktest.trial import Trial

AT_SPEED = 0.9
"""A burst that was sent at less than this share of top speed had gaps, in which buffers drain."""

AT_LINE = 0.99
"""From this share of the line on, a size is forwarded at line rate: no burst fills a buffer."""


def measure(
    size: SizeUnderTest, ceiling: Ceiling, throughput_pps: float | None
) -> BackToBackResult:
    """Search the longest burst without loss, again and again, for a size below line rate."""
    first = len(size.bench.trials)
    if throughput_pps is None:
        return _without(size, first, "invalid", "there is no throughput to correct it by")
    if throughput_pps >= min(AT_LINE * ceiling.line_pps, ceiling.highest_pps):
        reason = "every rate that can be offered is forwarded whole, so that no buffer is filled"
        return _without(size, first, "not_measured", reason)
    try:
        lengths = _repeat(size, ceiling.flood_pps)
    except InvalidTestError as error:
        return _without(size, first, "invalid", str(error))
    return _judged(size, ceiling.flood_pps, throughput_pps, lengths, first)


def _repeat(size: SizeUnderTest, burst_pps: float) -> list[int]:
    """Return the longest burst of each repetition, in frames."""
    bench, settings = size.bench, size.settings

    def whole(count: int) -> bool:
        flows = bench.flows(size.frame_bytes, None, count)
        return bench.run(Trial(purpose="back-to-back", flows=flows, duration_s=None)).lost == 0

    highest = ceil(burst_pps * settings.burst_s)
    lengths: list[int] = []
    for _ in range(settings.burst_repetitions):
        hint = lengths[-1] if lengths else None
        lengths.append(longest_burst(whole, highest, settings.precision, hint))
    return lengths


def _judged(
    size: SizeUnderTest,
    burst_pps: float,
    throughput_pps: float,
    lengths: Sequence[int],
    first: int,
) -> BackToBackResult:
    mean = fmean(lengths)
    implied = figures.implied_buffer_s(mean, burst_pps)
    limit = size.settings.limits.burst_frames
    check = None
    if limit is not None:
        check = (f"bursts of {mean:,.0f} frames, {limit:,.0f} demanded", mean >= limit)
    judgement = judge([check], [*size.notes_since(first), *_notes(size, burst_pps, first)])
    return BackToBackResult(
        frame_bytes=size.frame_bytes,
        line_pps=size.line_pps,
        burst_pps=burst_pps,
        throughput_pps=throughput_pps,
        repetitions=len(lengths),
        mean_frames=mean,
        min_frames=min(lengths),
        max_frames=max(lengths),
        deviation_frames=pstdev(lengths),
        implied_buffer_s=implied,
        corrected_buffer_s=figures.corrected_buffer_s(implied, throughput_pps, burst_pps),
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=size.trials_since(first),
    )


def _notes(size: SizeUnderTest, burst_pps: float, first: int) -> list[str]:
    """Say where this machine did not send as fast as it can: whole bursts prove less then."""
    whole = [trial for trial in size.bench.trials[first:] if trial.valid and trial.lost == 0]
    speeds = [min(flow.sent_pps for flow in trial.flows) for trial in whole]
    slow = [speed for speed in speeds if speed < AT_SPEED * burst_pps]
    if not slow:
        return []
    text = f"{len(slow)} of {len(whole)} bursts without loss were sent below top speed, at "
    return [f"{text}{min(slow):,.0f} frames/s and more: the buffer may be smaller"]


def _without(size: SizeUnderTest, first: int, verdict: Verdict, reason: str) -> BackToBackResult:
    return BackToBackResult(
        frame_bytes=size.frame_bytes,
        line_pps=size.line_pps,
        skipped=reason,
        verdict=verdict,
        reasons=(reason,),
        trials=size.trials_since(first),
    )
