"""A simulated device under test, with a clock of its own: hours of trials run in a moment.

Not a link and no engine: frames are counted, never made. What it does to them is exact, so that a
test knows what a search and its sums must come to.
"""

import math
from dataclasses import dataclass, field
from random import Random

from fieldtap.linktest.trial import Direction, Flow, FlowResult, Snapshot, Trial, TrialResult, Watch
from fieldtap_core.reports import Latency

BEGIN_NS = 1_800_000_000_000_000_000


@dataclass
class SimulatedClock:
    """Time that passes only when somebody waits."""

    ns: int = BEGIN_NS

    def now_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


@dataclass
class Way:
    """What became of one flow so far, in frames; fractions until the trial ends."""

    sent: float = 0.0
    lost: float = 0.0
    dropped: float = 0.0


@dataclass
class SimulatedDevice:
    """A `Tester`: a token bucket with faults, between ports of `line_bps`.

    It forwards `cap_pps` frames a second and holds `depth_frames` more; `None` forwards all. Then
    it loses, doubles and delays at random, is down for `down_s` of each `down_period_s`, and goes
    on losing for `recovery_s` after an overload. The machine that tests sends at most `sender_pps`
    and receives `receiver_pps`. `spoiled` are the reasons of the next trials that are not valid. In
    the next `late_trials` that machine sends late, and the burst overruns the device by a frame.
    """

    clock: SimulatedClock
    line_bps: float = 10e9
    cap_pps: float | None = None
    depth_frames: float = 0.0
    loss_ratio: float = 0.0
    duplicate_ratio: float = 0.0
    reorder_ratio: float = 0.0
    corrupt_ratio: float = 0.0
    latency_ns: int = 20_000
    jitter_ns: int = 1_000
    down_s: float = 0.0
    down_period_s: float = 60.0
    recovery_s: float = 0.0
    sender_pps: float = math.inf
    receiver_pps: float = math.inf
    interrupt_after: int | None = None
    look_s: float = 1.0
    spoiled: list[str] = field(default_factory=list)
    late_trials: int = 0
    random: Random = field(default_factory=Random)
    trials: int = 0
    taught: int = 0
    late: bool = False

    def run(self, trial: Trial, watch: Watch) -> TrialResult:
        self.late = self.late_trials > 0 and trial.purpose not in ("learning", "ceiling")
        self.late_trials -= self.late
        if trial.purpose == "learning":
            self.taught += 1
            return self._result(trial, self.clock.ns, {}, "")
        self.trials += 1
        if self.interrupt_after is not None and self.trials > self.interrupt_after:
            raise KeyboardInterrupt
        started_ns = self.clock.ns
        ways = self._forward(trial, watch)
        dropped = sum(int(way.dropped) for way in ways.values())
        return self._result(trial, started_ns, ways, self._fault(trial, dropped))

    def highest_pps(self, frame_bytes: int) -> float:
        """What leaves a port at top speed."""
        return min(self.line_bps / (8 * (frame_bytes + 20)), self.sender_pps)

    def _rate(self, flow: Flow) -> float:
        highest = self.highest_pps(flow.frame_bytes)
        return highest if flow.rate_pps is None else min(flow.rate_pps, highest)

    def _end_s(self, flow: Flow, trial: Trial) -> float:
        if flow.count is not None:
            return flow.count / self._rate(flow)
        assert trial.duration_s is not None
        return trial.duration_s

    def _forward(self, trial: Trial, watch: Watch) -> dict[int, Way]:
        """Pass the flows through the bucket, in steps in which no flow begins or ends."""
        ways = {index: Way() for index in range(len(trial.flows))}
        ends = sorted({self._end_s(flow, trial) for flow in trial.flows})
        steps = sorted({*ends, *(n * self.look_s for n in range(1, int(ends[-1] / self.look_s)))})
        tokens = {flow.direction: self.depth_frames for flow in trial.flows}
        overloaded_until = -math.inf
        began_s, at_s = self.clock.ns / 1e9, 0.0
        for step in steps:
            seconds = step - at_s
            for direction in tokens:
                active = {
                    index: self._rate(flow) * seconds
                    for index, flow in enumerate(trial.flows)
                    if flow.direction == direction and self._end_s(flow, trial) >= step - 1e-9
                }
                offered = sum(active.values())
                lost = offered - self._passed(offered, tokens, direction, seconds)
                if lost > 0.5 and self.recovery_s:
                    overloaded_until = step + self.recovery_s
                elif at_s < overloaded_until:
                    lost = max(lost, 0.01 * offered)
                if self._is_down(began_s + at_s):
                    lost = offered
                dropped = max(0.0, offered - lost - self.receiver_pps * seconds)
                for index, frames in active.items():
                    ways[index].sent += frames
                    ways[index].lost += lost * frames / offered
                    ways[index].dropped += dropped * frames / offered
            at_s = step
            self.clock.sleep(seconds)
            sent, gone = (sum(w.sent for w in ways.values()), sum(w.lost for w in ways.values()))
            watch(Snapshot(self.clock.ns, int(sent), int(sent - gone), int(gone)))
        return ways

    def _passed(
        self,
        offered: float,
        tokens: dict[Direction, float],
        direction: Direction,
        seconds: float,
    ) -> float:
        if self.cap_pps is None:
            return offered
        there = tokens[direction] + self.cap_pps * seconds
        passed = min(offered, there)
        tokens[direction] = min(self.depth_frames, there - passed)
        return passed

    def _is_down(self, at_s: float) -> bool:
        return self.down_s > 0 and at_s % self.down_period_s < self.down_s

    def _fault(self, trial: Trial, dropped: int) -> str:
        """Why the trial is not valid; empty where it is."""
        if self.spoiled:
            return self.spoiled.pop(0)
        for flow in trial.flows:
            if flow.rate_pps is not None and flow.rate_pps > self.sender_pps * (1 + 1e-9):
                return "the port could not keep the rate asked for"
        if dropped:
            return f"this machine was too slow to receive: the kernel dropped {dropped} frames"
        return ""

    def _result(
        self, trial: Trial, started_ns: int, ways: dict[int, Way], fault: str
    ) -> TrialResult:
        return TrialResult(
            trial=trial,
            started_ns=started_ns,
            stopped_ns=self.clock.ns,
            valid=not fault,
            invalid_reason=fault or None,
            flows=tuple(self._flow(trial.flows[index], trial, way) for index, way in ways.items()),
        )

    def _flow(self, flow: Flow, trial: Trial, way: Way) -> FlowResult:
        sent = round(way.sent) if flow.count is not None else math.floor(way.sent + 1e-6)
        passed = sent - min(sent, math.floor(way.lost + self.late + 1e-6))
        dropped = int(way.dropped)
        gone = self._draw(passed, self.loss_ratio)
        corrupt = self._draw(passed - gone, self.corrupt_ratio)
        once = passed - gone - corrupt - dropped
        duplicate = self._draw(once, self.duplicate_ratio)
        latency = Latency(
            samples=once,
            min=self.latency_ns,
            p50=self.latency_ns + self.jitter_ns // 2,
            p99=self.latency_ns + self.jitter_ns * 99 // 100,
            p999=self.latency_ns + self.jitter_ns * 999 // 1000,
            max=self.latency_ns + self.jitter_ns,
            source="simulated",
        )
        return FlowResult(
            offered=sent,
            sent=sent,
            received=once + duplicate,
            lost=sent - once - dropped,
            receiver_dropped=dropped,
            duplicate=duplicate,
            reordered=self._draw(once, self.reorder_ratio),
            corrupt=corrupt,
            foreign=0,
            sent_pps=sent / self._end_s(flow, trial),
            late_max_ns=20_000_000 if self.late else 1_000,
            latency_ns=latency if once else None,
            backend="simulated",
            mode="simulated",
        )

    def _draw(self, frames: int, ratio: float) -> int:
        """Return for how many of `frames` something of that probability happens."""
        expected = frames * ratio
        if expected <= 0:
            return 0
        if expected > 100:
            drawn = round(self.random.gauss(expected, math.sqrt(expected * (1 - ratio))))
            return min(frames, max(0, drawn))
        count, at = 0, 0.0
        while ratio < 1:
            at += math.log(1 - self.random.random()) / math.log(1 - ratio) + 1
            if at > frames:
                return count
            count += 1
        return frames
