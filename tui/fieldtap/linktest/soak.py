"""A steady load for hours: what was lost, and when.

A link that goes away does not end a soak. The engine's run may end then, and the next one begins
when the link is back, until the time is up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fieldtap_core.errors import EngineError
from msgspec.structs import replace

from fieldtap import words
from fieldtap.linktest.bench import Bench, is_doubtful, notes, tell_doubt
from fieldtap.linktest.judging import Judgement, doubt, judge
from fieldtap.linktest.outages import LinkWatch
from fieldtap.linktest.results import Outage, SoakRecord, SoakResult
from fieldtap.linktest.trial import Snapshot, Trial, TrialResult

RECORDS = 360
"""The course has about so many intervals: every ten seconds of an hour."""

SHORTEST_RECORD_S = 1.0

MAX_LOSSES = 10_000
"""Intervals with losses that are kept one by one; those after are joined to the last."""

MAX_TOLD = 5
"""Outages that the verdict's reasons tell one by one; all are in the report."""

LINK_POLL_S = 0.2

SHORTEST_RUN_S = 1.0
"""What is left of the time after an outage is not worth another run when it is less."""

SEEN_WITHIN_NS = 1_500_000_000
"""The first frames after an outage tell what was lost in it; a look comes soon after them."""

NOTHING = Snapshot(0, 0, 0, 0)


@dataclass
class Course:
    """What a running soak has come to, over all of its runs; an interrupted one reports this."""

    frame_bytes: int
    rate_pps: float
    record_ns: int
    links: LinkWatch
    course: list[SoakRecord] = field(default_factory=list)
    losses: list[SoakRecord] = field(default_factory=list)
    last: Snapshot | None = None
    began_ns: int = 0
    unknown_ns: list[int] = field(default_factory=list)
    """When runs ended that left no count: what they lost at last is not known."""
    _recorded: Snapshot | None = None
    _before: Snapshot = NOTHING

    def start(self, now_ns: int) -> None:
        """The course begins now."""
        self.began_ns = now_ns
        self._add(Snapshot(now_ns, 0, 0, 0))

    def __call__(self, snapshot: Snapshot) -> None:
        """Take the next snapshot of the current run."""
        self.links.notice(snapshot.at_ns)
        self._take(snapshot)

    def finish(self, result: TrialResult) -> None:
        """Take a run's final counts, which may tell of losses that were not yet seen."""
        if result.flows:
            received = sum(flow.received for flow in result.flows)
            self._take(Snapshot(result.stopped_ns, result.sent, received, result.lost))
        else:
            self.unknown_ns.append(result.stopped_ns)
        if self.last is not None:
            self._before = self.last

    def close(self) -> None:
        """The soak is over: the course ends where it is."""
        if self._recorded is not None and self.last is not None and self._recorded != self.last:
            self.course.append(_between(self._recorded, self.last))
            self._recorded = self.last

    def _take(self, snapshot: Snapshot) -> None:
        before = self._before
        self._add(
            Snapshot(
                snapshot.at_ns,
                before.sent + snapshot.sent,
                before.received + snapshot.received,
                before.lost + snapshot.lost,
            )
        )

    def _add(self, snapshot: Snapshot) -> None:
        if self.last is not None and snapshot.lost > self.last.lost:
            self._add_loss(_between(self.last, snapshot))
        elif self.last is not None:
            self._take_back(self.last.lost - snapshot.lost)
        if self._recorded is None:
            self._recorded = snapshot
        elif snapshot.at_ns - self._recorded.at_ns >= self.record_ns:
            self.course.append(_between(self._recorded, snapshot))
            self._recorded = snapshot
        self.last = snapshot

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

    def _take_back(self, late: int) -> None:
        """Frames that were missing came after all: they were overtaken, not lost."""
        while late > 0 and self.losses:
            record = self.losses.pop()
            if record.lost > late:
                self.losses.append(replace(record, lost=record.lost - late))
            late -= record.lost


def _between(before: Snapshot, after: Snapshot) -> SoakRecord:
    return SoakRecord(
        from_ns=before.at_ns,
        to_ns=max(before.at_ns, after.at_ns),
        sent=max(0, after.sent - before.sent),
        received=max(0, after.received - before.received),
        lost=max(0, after.lost - before.lost),
    )


def begin(frame_bytes: int, rate_pps: float, duration_s: float, links: LinkWatch) -> Course:
    """Return an empty course for a soak of that kind."""
    interval_s = max(SHORTEST_RECORD_S, duration_s / RECORDS)
    return Course(frame_bytes, rate_pps, round(interval_s * 1e9), links)


def run(bench: Bench, course: Course, duration_s: float, allowed_percent: float) -> SoakResult:
    """Send the load for the whole time. A link that went away is a failure, as is more lost than
    `allowed_percent`; a run that was spoiled by anything else ends the soak.
    """
    first = len(bench.trials)
    began_ns = bench.clock.now_ns()
    end_ns = began_ns + round(1e9 * duration_s)
    course.start(began_ns)
    left_s, over, spoiled = duration_s, False, None
    while not over:
        over, spoiled = _run_once(bench, course, left_s)
        if not over:
            _wait_for_links(bench, course, end_ns)
            left_s = (end_ns - bench.clock.now_ns()) / 1e9
            over = left_s < SHORTEST_RUN_S
    course.links.close(bench.clock.now_ns())
    course.close()
    judgement = _judge(bench, course, first, allowed_percent, spoiled)
    return _result(course, judgement, tuple(range(first, len(bench.trials))))


def _run_once(bench: Bench, course: Course, duration_s: float) -> tuple[bool, str | None]:
    """Run the engine once. Return whether the soak is over, and what spoiled it but for the link.

    A run that ended too early while a link was away is to be followed by another.
    """
    links, outages = course.links, course.links.count
    flows = bench.flows(course.frame_bytes, course.rate_pps)
    links.forget()
    try:
        result = bench.run_once(Trial(purpose="soak", flows=flows, duration_s=duration_s), course)
    except EngineError:
        links.notice(bench.clock.now_ns())
        if links.count == outages:
            raise
        return False, None  # a port that has gone cannot be opened
    course.finish(result)
    if result.valid:
        return True, None
    early = result.stopped_ns - result.started_ns < round(1e9 * (duration_s - SHORTEST_RUN_S))
    if early:
        links.notice(bench.clock.now_ns())
    if links.count > outages:
        return not early, None
    return True, _spoiled(result, course)


def _spoiled(trial: TrialResult, course: Course) -> str:
    """Say what ended a soak before its time, when, and what had been lost by then."""
    last = course.last
    sent, lost = (last.sent, last.lost) if last is not None else (0, 0)
    after_s = (trial.stopped_ns - course.began_ns) / 1e9
    text = f"{trial.invalid_reason}, {after_s:,.0f} s after the begin"
    return f"{text}: {lost:,} of {sent:,} frames lost by then"


def _wait_for_links(bench: Bench, course: Course, end_ns: int) -> None:
    while course.links.lasts and (now_ns := bench.clock.now_ns()) < end_ns:
        bench.clock.sleep(LINK_POLL_S)
        course.links.notice(now_ns)


def _judge(
    bench: Bench, course: Course, first: int, allowed_percent: float, spoiled: str | None
) -> Judgement:
    outages = tell_outages(outages_of(course))
    if spoiled is not None:
        return Judgement("fail" if outages else "invalid", (*outages, spoiled))
    sent, lost = (course.last.sent, course.last.lost) if course.last is not None else (0, 0)
    percent = 100 * lost / sent if sent else 0.0
    text = f"{lost:,} of {sent:,} frames lost, {percent:.4g} %"
    check = (f"{text}, {allowed_percent:g} % allowed", percent <= allowed_percent)
    trials = bench.trials[first:]
    judged = judge([check, *((text, False) for text in outages)], notes(trials))
    if not outages:
        proved = any(trial.lost and not is_doubtful(trial) for trial in trials)
        return judged if proved else doubt(judged, tell_doubt(trials))
    said = judged.reasons if percent > allowed_percent else (*judged.reasons, check[0])
    return Judgement("fail", said)


def outages_of(course: Course) -> tuple[Outage, ...]:
    """Return the outages so far, each with the frames that were lost in it; None: not known."""
    return tuple(replace(outage, lost=_lost_in(outage, course)) for outage in course.links.outages)


def _lost_in(outage: Outage, course: Course) -> int | None:
    to_ns = outage.to_ns + SEEN_WITHIN_NS
    if any(outage.from_ns <= at_ns <= to_ns for at_ns in course.unknown_ns):
        return None
    return sum(
        record.lost
        for record in course.losses
        if record.to_ns >= outage.from_ns and record.from_ns <= to_ns
    )


def tell_outages(outages: Sequence[Outage]) -> tuple[str, ...]:
    """Return a sentence for each of the first outages, and one for the rest."""
    found = [_tell(outage) for outage in outages[:MAX_TOLD]]
    if len(outages) > MAX_TOLD:
        seconds = sum(outage.to_ns - outage.from_ns for outage in outages[MAX_TOLD:]) / 1e9
        found.append(f"{len(outages) - MAX_TOLD} more outages, {seconds:.1f} s in all")
    return tuple(found)


def _tell(outage: Outage) -> str:
    seconds = (outage.to_ns - outage.from_ns) / 1e9
    lost = "not known how many" if outage.lost is None else f"{outage.lost:,}"
    where = f" ({', '.join(outage.ports)})" if outage.ports else ""
    times = f"from {words.utc(outage.from_ns)} to {words.utc(outage.to_ns)}"
    return f"link down{where} {times}, {seconds:.1f} s: {lost} frames lost around it"


def interrupted(course: Course) -> SoakResult:
    """Return what an interrupted run had come to."""
    course.close()
    outages = tell_outages(outages_of(course))
    reason = "it was interrupted: frames that were under way are not known"
    return _result(course, Judgement("fail" if outages else "invalid", (*outages, reason)), ())


def _result(course: Course, judgement: Judgement, trials: tuple[int, ...]) -> SoakResult:
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
        outages=outages_of(course),
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=trials,
    )
