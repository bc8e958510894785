"""System recovery, RFC 2544 section 26.5: how long a device still loses after an overload."""

from fieldtap.linktest.bench import DOUBTFUL_LATE_NS, Ceiling, InvalidTestError
from fieldtap.linktest.judging import doubt, judge
from fieldtap.linktest.parts import SizeUnderTest
from fieldtap.linktest.results import RecoveryResult, Verdict
from fieldtap.linktest.trial import Snapshot, Trial

OVERLOAD = 1.1
"""Of the throughput; or the highest rate, where that is less."""


class LossWatch:
    """Notes when frames were last seen to be lost, and how often it was looked."""

    def __init__(self) -> None:
        self.first_ns: int | None = None
        self.last_loss_ns: int | None = None
        self.widest_look_ns = 0
        self._last: Snapshot | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        """Take the next snapshot of the trial."""
        if self._last is None:
            self.first_ns = snapshot.at_ns
        else:
            self.widest_look_ns = max(self.widest_look_ns, snapshot.at_ns - self._last.at_ns)
            if snapshot.lost > self._last.lost:
                self.last_loss_ns = snapshot.at_ns
        self._last = snapshot


def measure(size: SizeUnderTest, ceiling: Ceiling, throughput_pps: float | None) -> RecoveryResult:
    """Overload the device, halve the load, and see for how long frames are still lost."""
    first = len(size.bench.trials)
    if throughput_pps is None:
        return _without(size, first, "invalid", "there is no throughput to exceed")
    overload = min(OVERLOAD * throughput_pps, ceiling.highest_pps)
    if throughput_pps >= ceiling.highest_pps:
        reason = "nothing that can be offered overloads it"
        return _without(size, first, "not_measured", reason)
    trial = _trial(size, overload)
    watch = LossWatch()
    try:
        result = size.bench.run(trial, watch)
    except InvalidTestError as error:
        return _without(size, first, "invalid", str(error))
    reduced_ns = result.started_ns + round(1e9 * size.settings.overload_s)
    recovery_s = max(0, (watch.last_loss_ns or 0) - reduced_ns) / 1e9
    return _judged(size, throughput_pps, overload, recovery_s, watch, first)


def _trial(size: SizeUnderTest, overload_pps: float) -> Trial:
    """Two flows of half the overload each way, of which one ends with the overload."""
    settings = size.settings
    half = overload_pps / 2
    stays = size.bench.flows(size.frame_bytes, half)
    ends = size.bench.flows(size.frame_bytes, half, round(half * settings.overload_s))
    return Trial(
        purpose="recovery",
        flows=(*stays, *ends),
        duration_s=settings.overload_s + settings.recovery_watch_s,
    )


def _judged(
    size: SizeUnderTest,
    throughput_pps: float,
    overload_pps: float,
    recovery_s: float,
    watch: LossWatch,
    first: int,
) -> RecoveryResult:
    resolution_s = watch.widest_look_ns / 1e9
    over = recovery_s + resolution_s >= size.settings.recovery_watch_s
    limit = size.settings.limits.recovery_s
    said = f"not within {size.settings.recovery_watch_s:g} s" if over else f"in {recovery_s:.2f} s"
    check = None
    if limit is not None:
        check = (f"recovers {said}, {limit:g} s allowed", not over and recovery_s <= limit)
    notes = [f"it still lost frames {said.removeprefix('not ')}"] if over else []
    late_ns = size.bench.trials[-1].late_max_ns
    is_late = late_ns > DOUBTFUL_LATE_NS
    if is_late:
        notes.append(
            f"frames left up to {late_ns / 1e6:.1f} ms late, in bursts: this machine may have "
            "caused the last loss"
        )
    judgement = judge([check], [*notes, *size.notes_since(first)])
    if is_late:
        judgement = doubt(judgement, "not proved: this machine sent late")
    return RecoveryResult(
        frame_bytes=size.frame_bytes,
        throughput_pps=throughput_pps,
        overload_pps=overload_pps,
        reduced_pps=overload_pps / 2,
        recovery_s=None if over else recovery_s,
        resolution_s=resolution_s,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=size.trials_since(first),
    )


def _without(size: SizeUnderTest, first: int, verdict: Verdict, reason: str) -> RecoveryResult:
    return RecoveryResult(
        frame_bytes=size.frame_bytes,
        verdict=verdict,
        reasons=(reason,),
        trials=size.trials_since(first),
    )
