"""What the parts of a test share: the size under test, and where results gather."""

from dataclasses import dataclass, field

from fieldtap.linktest.bench import Bench, notes
from fieldtap.linktest.results import (
    BackToBackResult,
    LatencyResult,
    LossResult,
    RecoveryResult,
    ThroughputResult,
)
from fieldtap.linktest.settings import Settings


@dataclass
class Parts:
    """Results so far: a test that is interrupted reports these.

    `slower` are the sizes whose line rate this machine could not offer.
    """

    throughput: list[ThroughputResult] = field(default_factory=list)
    latency: list[LatencyResult] = field(default_factory=list)
    loss: list[LossResult] = field(default_factory=list)
    back_to_back: list[BackToBackResult] = field(default_factory=list)
    recovery: list[RecoveryResult] = field(default_factory=list)
    slower: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class SizeUnderTest:
    """One frame size of one test. `line_pps` is what the line carries of it."""

    bench: Bench
    settings: Settings
    frame_bytes: int
    line_pps: float

    def trials_since(self, first: int) -> tuple[int, ...]:
        """Return the indexes of the trials run since there were `first`."""
        return tuple(range(first, len(self.bench.trials)))

    def notes_since(self, first: int) -> tuple[str, ...]:
        """Say what befell the frames of those trials beside loss."""
        return notes(self.bench.trials[first:])
