"""Throughput, RFC 2544 section 26.1: the highest rate at which a device loses no frame."""

from fieldtap.linktest import figures
from fieldtap.linktest.bench import Ceiling, InvalidTestError, is_doubtful, tell_doubt
from fieldtap.linktest.judging import doubt, judge
from fieldtap.linktest.parts import Parts, SizeUnderTest
from fieldtap.linktest.results import ThroughputResult
from fieldtap.linktest.search import Bounds, Outcome, Span, search
from fieldtap.linktest.trial import Trial

LOWEST_SHARE = 1e-5
"""Of the highest rate: what carries less than this carries nothing."""

LOWEST_FRAMES = 10
"""In the final trial: fewer prove little."""


def measure(size: SizeUnderTest, ceiling: Ceiling) -> ThroughputResult:
    """Search the throughput of one size."""
    bench, settings = size.bench, size.settings
    first = len(bench.trials)

    def offer(rate_pps: float, duration_s: float) -> Outcome:
        flows = bench.flows(size.frame_bytes, rate_pps)
        result = bench.run_verified(Trial(purpose="throughput", flows=flows, duration_s=duration_s))
        return Outcome(result.sent, result.lost)

    lowest = max(LOWEST_SHARE * ceiling.highest_pps, LOWEST_FRAMES / settings.final_s)
    span = Span(
        lowest, ceiling.highest_pps, settings.precision, settings.search_s, settings.final_s
    )
    try:
        bounds = search(settings.search, offer, span)
    except InvalidTestError as error:
        return _invalid(size, str(error), ceiling.highest_pps, first)
    return _judged(size, ceiling, bounds, first)


def record_invalid(size: SizeUnderTest, parts: Parts, reason: str) -> None:
    """Record a size of which not even a flood could be sent."""
    first = max(0, len(size.bench.trials) - 1)
    parts.throughput.append(_invalid(size, reason, None, first))


def _judged(size: SizeUnderTest, ceiling: Ceiling, bounds: Bounds, first: int) -> ThroughputResult:
    rate = bounds.lower_pps
    percent = None if rate is None else 100 * rate / size.line_pps
    limit = size.settings.limits.throughput_percent
    notes = list(size.notes_since(first))
    if bounds.lower_pps is None:
        notes.append("no rate came through without loss")
    elif bounds.upper_pps is None and ceiling.own:
        notes.append("no loss up to the highest rate of this machine: it may carry more")
    check = None
    if limit is not None:
        reached = percent or 0.0
        text = f"{reached:.2f} % of the line, {limit:g} % demanded"
        check = (text, reached >= limit)
    judgement = judge([check], notes)
    if limit is not None and not _is_proved(size, limit, bounds, first):
        judgement = doubt(judgement, tell_doubt(size.bench.trials[first:]))
    return ThroughputResult(
        frame_bytes=size.frame_bytes,
        line_pps=size.line_pps,
        highest_pps=ceiling.highest_pps,
        rate_pps=rate,
        upper_pps=bounds.upper_pps,
        precision=size.settings.precision,
        rate_bps=None if rate is None else figures.bps(rate, size.frame_bytes),
        percent_of_line=percent,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=size.trials_since(first),
    )


def _is_proved(size: SizeUnderTest, limit_percent: float, bounds: Bounds, first: int) -> bool:
    """Whether a trial showed that the device carries less than demanded, and not this machine.

    It lost at no more than the rate that was found to lose, or passed on less than was demanded.
    """
    demanded_pps = size.line_pps * limit_percent / 100
    for result in size.bench.trials[first:]:
        if not result.valid or result.lost == 0 or is_doubtful(result):
            continue
        rate_pps = result.trial.flows[0].rate_pps
        if rate_pps is None:
            continue
        passed_pps = rate_pps * (1 - result.loss_ratio)
        if passed_pps < demanded_pps or rate_pps <= (bounds.upper_pps or 0.0):
            return True
    return False


def _invalid(
    size: SizeUnderTest, reason: str, highest_pps: float | None, first: int
) -> ThroughputResult:
    return ThroughputResult(
        frame_bytes=size.frame_bytes,
        line_pps=size.line_pps,
        highest_pps=highest_pps,
        precision=size.settings.precision,
        verdict="invalid",
        reasons=(reason,),
        trials=size.trials_since(first),
    )
