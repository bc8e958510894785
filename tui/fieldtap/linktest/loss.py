"""Frame loss rate, RFC 2544 section 26.3: the share lost at each load, from the highest down."""

from fieldtap.linktest.bench import Ceiling, InvalidTestError, is_doubtful, tell_doubt
from fieldtap.linktest.judging import Judgement, doubt, judge
from fieldtap.linktest.parts import SizeUnderTest
from fieldtap.linktest.results import LossPoint, LossResult
from fieldtap.linktest.trial import Trial

CLEAN_IN_A_ROW = 2
"""So many loads without loss, one after the other, end the test."""


def measure(size: SizeUnderTest, ceiling: Ceiling) -> LossResult:
    """Go down from the highest load in steps until two in a row lose nothing."""
    first = len(size.bench.trials)
    points: list[LossPoint] = []
    try:
        _descend(size, ceiling, points)
        judgement = _judge(size, points, first)
    except InvalidTestError as error:
        judgement = Judgement("invalid", (str(error),))
    return LossResult(
        frame_bytes=size.frame_bytes,
        line_pps=size.line_pps,
        points=tuple(points),
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=size.trials_since(first),
    )


def _descend(size: SizeUnderTest, ceiling: Ceiling, points: list[LossPoint]) -> None:
    step, clean = size.settings.loss_step_percent, 0
    percent = 100.0
    while percent > 0 and clean < CLEAN_IN_A_ROW:
        point = _point(size, ceiling, percent)
        points.append(point)
        clean = clean + 1 if point.lost == 0 else 0
        percent -= step


def _point(size: SizeUnderTest, ceiling: Ceiling, percent: float) -> LossPoint:
    rate = ceiling.highest_pps * percent / 100
    flows = size.bench.flows(size.frame_bytes, rate)
    trial = Trial(purpose="loss", flows=flows, duration_s=size.settings.loss_s)
    result = size.bench.run_verified(trial)
    return LossPoint(
        percent_of_highest=percent,
        percent_of_line=100 * rate / size.line_pps,
        rate_pps=rate,
        sent=result.sent,
        received=sum(flow.received for flow in result.flows),
        lost=result.lost,
        loss_percent=100 * result.loss_ratio,
    )


def _judge(size: SizeUnderTest, points: list[LossPoint], first: int) -> Judgement:
    limit = size.settings.limits.loss_percent
    check = None
    if limit is not None:
        highest = max(point.loss_percent for point in points)
        text = f"at most {highest:.4g} % lost at any load, {limit:g} % allowed"
        check = (text, highest <= limit)
    judgement = judge([check], size.notes_since(first))
    trials = [trial for trial in size.bench.trials[first:] if trial.valid]
    if limit is None or any(
        100 * trial.loss_ratio > limit and not is_doubtful(trial) for trial in trials
    ):
        return judgement
    return doubt(judgement, tell_doubt(trials))
