"""Runs trials one after the other as RFC 2544 section 23 has it, and keeps every one.

It knows nothing of what a test looks for. Time goes through a `Clock`, so that a simulated device
can be tested without waiting.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fieldtap.linktest.results import Directions
from fieldtap.linktest.trial import (
    Direction,
    Flow,
    FlowResult,
    Snapshot,
    Tester,
    Trial,
    TrialInterrupted,
    TrialResult,
    Watch,
)

LEARNING_FRAMES = 3
LEARNING_PPS = 100.0


class Clock(Protocol):
    """Where waiting goes."""

    def now_ns(self) -> int:
        """Nanoseconds UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        ...


class WallClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        """Nanoseconds UTC."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        time.sleep(seconds)


class Listener(Protocol):
    """Told how a test gets on."""

    def begins(self, trial: Trial) -> None:
        """A trial is about to run."""
        ...

    def goes_on(self, trial: Trial, snapshot: Snapshot) -> None:
        """A trial runs; called several times a second."""
        ...

    def ended(self, result: TrialResult) -> None:
        """A trial has ended, valid or not."""
        ...


@dataclass(frozen=True)
class Waits:
    """The times of RFC 2544 section 23 around each trial, in seconds."""

    learning_s: float
    residual_s: float
    settle_s: float

    @property
    def around_s(self) -> float:
        """What a trial takes beside sending."""
        return self.learning_s + self.residual_s + self.settle_s


STANDARD_WAITS = Waits(learning_s=2.0, residual_s=2.0, settle_s=5.0)
SHORT_WAITS = Waits(learning_s=0.1, residual_s=2.0, settle_s=0.2)
"""`residual_s` is the engine's own: it listens until all came back, or nothing for so long."""


class InvalidTestError(Exception):
    """No valid trial could be had, so that nothing is known. The text is the last reason."""


DOUBTFUL_LATE_NS = 500_000
"""A burst of so long a time may overrun the buffer of a device that a constant load would not."""

DOUBTFUL_RATIO = 0.01
"""More loss than this is not explained by a burst now and then."""


def is_doubtful(result: TrialResult) -> bool:
    """Whether the loss of a trial may be due to the sender's lateness."""
    late = result.late_max_ns > DOUBTFUL_LATE_NS
    return late and 0 < result.loss_ratio < DOUBTFUL_RATIO


def tell_doubt(results: Iterable[TrialResult]) -> str:
    """Say why the loss of trials proves nothing: those of them that lost were sent late."""
    late_ns = max((result.late_max_ns for result in results if is_doubtful(result)), default=0)
    return _not_proved(late_ns, "loss")


def tell_delay(late_ns: int) -> str:
    """Say why a delay proves nothing that is no more than `late_ns` above its limit.

    What is sent late goes in a burst, and waits in the device for what is ahead of it: up to as
    long as it was late, and where the rate is all that the device forwards, to the end of the
    trial.
    """
    return _not_proved(late_ns, "delay")


def _not_proved(late_ns: int, what: str) -> str:
    return (
        f"not proved: this machine sent frames up to {late_ns / 1e6:.1f} ms late, in bursts, and "
        f"may have caused the {what} itself; test with a machine that has less to do"
    )


def directions_of(directions: Directions) -> tuple[Direction, ...]:
    """Return the one or two directions that the user's word stands for."""
    return ("a-b", "b-a") if directions == "both" else (directions,)


@dataclass
class Bench:
    """Runs trials with their waits; repeats those that are not valid. `trials` has every one."""

    tester: Tester
    clock: Clock
    waits: Waits
    directions: Directions
    attempts: int
    listener: Listener
    vlan_id: int | None = None
    trials: list[TrialResult] = field(default_factory=list)

    def flows(
        self, frame_bytes: int, rate_pps: float | None, count: int | None = None
    ) -> tuple[Flow, ...]:
        """Return the same flow for each direction of the test."""
        return tuple(
            Flow(
                direction=direction,
                frame_bytes=frame_bytes,
                rate_pps=rate_pps,
                count=count,
                vlan_id=self.vlan_id,
            )
            for direction in directions_of(self.directions)
        )

    def run(self, trial: Trial, watch: Watch | None = None) -> TrialResult:
        """Run a trial until it is valid, with all waits. Raises `InvalidTestError`."""
        for _ in range(self.attempts):
            result = self.run_once(trial, watch)
            if result.valid:
                return result
        tried = "" if self.attempts == 1 else f"tried {self.attempts} times: "
        raise InvalidTestError(f"{tried}{result.invalid_reason}")

    def run_verified(self, trial: Trial) -> TrialResult:
        """Run a trial, and again where this machine may have caused the little that was lost.

        A sender that was held up makes up for it in a burst, which a constant load would not have.
        Loss that comes back each time counts. Raises `InvalidTestError`.
        """
        result = self.run(trial)
        for _ in range(self.attempts - 1):
            if not is_doubtful(result):
                break
            result = self.run(trial)
        return result

    def run_once(self, trial: Trial, watch: Watch | None = None) -> TrialResult:
        """Run a trial with all waits, valid or not."""
        self._teach(trial)
        self.listener.begins(trial)

        def tell(snapshot: Snapshot) -> None:
            self.listener.goes_on(trial, snapshot)
            if watch is not None:
                watch(snapshot)

        try:
            result = self.tester.run(trial, tell)
        except TrialInterrupted as interrupted:
            self.trials.append(interrupted.result)
            raise
        self.trials.append(result)
        self.listener.ended(result)
        self.clock.sleep(self.waits.settle_s)
        return result

    def _teach(self, trial: Trial) -> None:
        """Let the device learn where the addresses are, from frames the other way."""
        opposite: dict[Direction, Direction] = {"a-b": "b-a", "b-a": "a-b"}
        flows = {
            (flow.direction, flow.vlan_id): Flow(
                direction=opposite[flow.direction],
                frame_bytes=flow.frame_bytes,
                rate_pps=LEARNING_PPS,
                count=LEARNING_FRAMES,
                vlan_id=flow.vlan_id,
            )
            for flow in trial.flows
        }
        learning = Trial(purpose="learning", flows=tuple(flows.values()), duration_s=None)
        self.tester.run(learning, lambda _: None)
        self.clock.sleep(self.waits.learning_s)


@dataclass(frozen=True)
class Ceiling:
    """The highest rate of one size that can be offered each way.

    `own` where this machine, not the line, sets it; `flood_pps` is then its top speed.
    """

    line_pps: float
    highest_pps: float
    flood_pps: float
    own: bool


REACHES_LINE = 0.99
"""A flood this near to the line is the line's: the rest is the measuring of a short time."""

KEEPS = 0.8
"""A machine that cannot reach the line keeps this share of its flood as a paced rate."""

CEILING_TRIAL_S = 1.0
CEILING_STEPS = 6


def find_ceiling(bench: Bench, frame_bytes: int, line: float) -> Ceiling:
    """Flood for a moment to see what this machine sends and receives. Raises `InvalidTestError`."""
    trial = Trial(
        purpose="ceiling", flows=bench.flows(frame_bytes, None), duration_s=CEILING_TRIAL_S
    )
    flood = bench.run_once(trial)
    if not flood.flows:
        raise InvalidTestError(f"no frame could be sent: {flood.invalid_reason}")
    reached = min(_own_pps(flow) for flow in flood.flows)
    if reached >= REACHES_LINE * line:
        return Ceiling(line, line, line, own=False)
    top_speed = min(flow.sent_pps for flow in flood.flows)
    return Ceiling(line, _kept_pps(bench, frame_bytes, KEEPS * reached), top_speed, own=True)


def _kept_pps(bench: Bench, frame_bytes: int, rate_pps: float) -> float:
    """Return the rate, or the next lower one, that this machine was seen to send and receive."""
    for _ in range(CEILING_STEPS):
        trial = Trial(
            purpose="ceiling",
            flows=bench.flows(frame_bytes, rate_pps),
            duration_s=CEILING_TRIAL_S,
        )
        result = bench.run_once(trial)
        if result.valid:
            return rate_pps
        rate_pps *= KEEPS
    raise InvalidTestError(f"this machine keeps no rate: {result.invalid_reason}")


def _own_pps(flow: FlowResult) -> float:
    """What this machine sent a second, less the share that it failed to receive."""
    kept = 1 - flow.receiver_dropped / flow.sent if flow.sent else 0.0
    return flow.sent_pps * kept


def notes(results: Sequence[TrialResult]) -> tuple[str, ...]:
    """Say what else befell the frames of valid trials: copies, disorder, damage, strangers."""
    kinds = {
        "duplicate": "came twice",
        "reordered": "came out of order",
        "corrupt": "came damaged, and count as lost",
        "foreign": "of others came in between",
    }
    flows = [flow for result in results if result.valid for flow in result.flows]
    sums = {words: sum(getattr(flow, kind) for flow in flows) for kind, words in kinds.items()}
    found = [f"{number:,} frames {words}" for words, number in sums.items() if number]
    late_ns = max((r.late_max_ns for r in results if r.valid and is_doubtful(r)), default=0)
    if late_ns:
        found.append(
            f"some trials that lost few frames sent them up to {late_ns / 1e6:.1f} ms late, in "
            "bursts: this machine may have caused the loss"
        )
    return tuple(found)
