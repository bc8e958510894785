"""A steady load for hours: what was lost, and when."""

from dataclasses import dataclass, field

from fieldtap.linktest.bench import Bench, InvalidTestError, notes
from fieldtap.linktest.judging import Judgement, judge
from fieldtap.linktest.results import SoakRecord, SoakResult
from fieldtap.linktest.trial import Snapshot, Trial, TrialResult

RECORDS = 360
"""The course has about so many intervals: every ten seconds of an hour."""

SHORTEST_RECORD_S = 1.0

MAX_LOSSES = 10_000
"""Intervals with losses that are kept one by one; those after are joined to the last."""


@dataclass
class Course:
    """What a running soak has come to; an interrupted one reports this."""

    frame_bytes: int
    rate_pps: float
    record_ns: int
    course: list[SoakRecord] = field(default_factory=list)
    losses: list[SoakRecord] = field(default_factory=list)
    last: Snapshot | None = None
    _recorded: Snapshot | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        """Take the next snapshot of the run."""
        if self.last is not None and snapshot.lost > self.last.lost:
            self._add_loss(_between(self.last, snapshot))
        if self._recorded is None:
            self._recorded = snapshot
        elif snapshot.at_ns - self._recorded.at_ns >= self.record_ns:
            self.course.append(_between(self._recorded, snapshot))
            self._recorded = snapshot
        self.last = snapshot

    def finish(self, result: TrialResult) -> None:
        """Take the run's final counts, which may tell of losses that were not yet seen."""
        received = sum(flow.received for flow in result.flows)
        self(Snapshot(result.stopped_ns, result.sent, received, result.lost))
        if self._recorded is not None and self.last is not None and self._recorded != self.last:
            self.course.append(_between(self._recorded, self.last))

    def _add_loss(self, record: SoakRecord) -> None:
        if len(self.losses) < MAX_LOSSES:
            self.losses.append(record)
            return
        before = self.losses[-1]
        self.losses[-1] = SoakRecord(
            from_ns=before.from_ns,
            to_ns=record.to_ns,
            sent=before.sent + record.sent,
            received=before.received + record.received,
            lost=before.lost + record.lost,
        )


def _between(before: Snapshot, after: Snapshot) -> SoakRecord:
    return SoakRecord(
        from_ns=before.at_ns,
        to_ns=max(before.at_ns, after.at_ns),
        sent=max(0, after.sent - before.sent),
        received=max(0, after.received - before.received),
        lost=max(0, after.lost - before.lost),
    )


def begin(frame_bytes: int, rate_pps: float, duration_s: float) -> Course:
    """Return an empty course for a soak of that kind."""
    interval_s = max(SHORTEST_RECORD_S, duration_s / RECORDS)
    return Course(frame_bytes, rate_pps, round(interval_s * 1e9))


def run(bench: Bench, course: Course, duration_s: float, allowed_percent: float) -> SoakResult:
    """Send the load once for the whole time. More lost than `allowed_percent` is a failure."""
    flows = bench.flows(course.frame_bytes, course.rate_pps)
    trial = Trial(purpose="soak", flows=flows, duration_s=duration_s)
    first = len(bench.trials)
    course(Snapshot(bench.clock.now_ns(), 0, 0, 0))
    try:
        result = bench.run(trial, course)
    except InvalidTestError as error:
        return _result(course, Judgement("invalid", (_spoiled(error, bench, course),)), first)
    course.finish(result)
    percent = 100 * result.loss_ratio
    text = f"{result.lost:,} of {result.sent:,} frames lost, {percent:.4g} %"
    check = (f"{text}, {allowed_percent:g} % allowed", percent <= allowed_percent)
    judgement = judge([check], notes([result]))
    return _result(course, judgement, first)


def _spoiled(error: InvalidTestError, bench: Bench, course: Course) -> str:
    """Say what ended a soak before its time, when, and what had been lost by then."""
    trial, last = bench.trials[-1], course.last
    sent, lost = (last.sent, last.lost) if last is not None else (0, 0)
    after_s = (trial.stopped_ns - trial.started_ns) / 1e9
    return f"{error}, {after_s:,.0f} s after the begin: {lost:,} of {sent:,} frames lost by then"


def interrupted(course: Course) -> SoakResult:
    """Return what an interrupted run had come to."""
    reason = "it was interrupted: frames that were under way are not known"
    return _result(course, Judgement("invalid", (reason,)), None)


def _result(course: Course, judgement: Judgement, trial: int | None) -> SoakResult:
    last = course.last
    sent, lost = (last.sent, last.lost) if last is not None else (0, 0)
    return SoakResult(
        frame_bytes=course.frame_bytes,
        rate_pps=course.rate_pps,
        sent=sent,
        lost=lost,
        loss_percent=100 * lost / sent if sent else 0.0,
        course=tuple(course.course),
        losses=tuple(course.losses),
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=() if trial is None else (trial,),
    )
