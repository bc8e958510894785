"""A trial: what is to be sent, what became of it, and whoever can run one.

Sizes include 4 bytes of FCS, rates are frames a second of one flow, times are nanoseconds UTC.
"""

from collections.abc import Callable
from typing import Literal, Protocol

from fieldtap_core.messages import Count
from fieldtap_core.reports import Latency
from msgspec import Struct

Direction = Literal["a-b", "b-a"]


class Flow(Struct, frozen=True, kw_only=True):
    """Frames of one kind in one direction: a service, or all there is in that direction.

    `rate_pps` None is top speed. A flow with `count` ends after so many frames, one without ends
    with its trial.
    """

    name: str = ""
    direction: Direction
    frame_bytes: int
    rate_pps: float | None
    count: int | None = None
    vlan_id: int | None = None
    priority: int | None = None


class Trial(Struct, frozen=True, kw_only=True):
    """Flows that begin together. `duration_s` is None where each flow has a count.

    `purpose` names the part of the test that asked, such as "throughput".
    """

    purpose: str
    flows: tuple[Flow, ...]
    duration_s: float | None


class FlowResult(Struct, frozen=True, kw_only=True):
    """What became of the flow in the same place of the trial, in frames.

    `offered` were asked for, `sent` left the port by its own counter. `lost` excludes
    `receiver_dropped`, which this machine failed to receive. `late_max_ns` is the latest that a
    frame left after it was due: those behind it then leave in a burst.
    """

    offered: Count
    sent: Count
    received: Count
    lost: Count
    receiver_dropped: Count
    duplicate: Count
    reordered: Count
    corrupt: Count
    foreign: Count
    sent_pps: float
    late_max_ns: Count = 0
    latency_ns: Latency | None
    backend: str
    mode: str

    @property
    def loss_ratio(self) -> float:
        """Lost frames per frame sent, 0 where none was."""
        return self.lost / self.sent if self.sent else 0.0


class TrialResult(Struct, frozen=True, kw_only=True):
    """A trial that was run. One that is not valid proves nothing, and may have no flows."""

    trial: Trial
    started_ns: Count
    stopped_ns: Count
    valid: bool
    invalid_reason: str | None
    flows: tuple[FlowResult, ...]

    @property
    def sent(self) -> int:
        """Frames of all flows that left their ports."""
        return sum(flow.sent for flow in self.flows)

    @property
    def lost(self) -> int:
        """Frames of all flows that did not come back."""
        return sum(flow.lost for flow in self.flows)

    @property
    def late_max_ns(self) -> int:
        """The latest that any frame left after it was due."""
        return max((flow.late_max_ns for flow in self.flows), default=0)

    @property
    def loss_ratio(self) -> float:
        """Lost frames per frame sent over all flows, 0 where none was sent."""
        return self.lost / self.sent if self.sent else 0.0


class Snapshot(Struct, frozen=True):
    """What a running trial had come to at `at_ns`, in frames of all its flows."""

    at_ns: Count
    sent: Count
    received: Count
    lost: Count


Watch = Callable[[Snapshot], None]
"""Told of a running trial several times a second."""


class TrialInterrupted(KeyboardInterrupt):
    """Ctrl-C came in mid-trial; `result` has what was counted by then, and is not valid."""

    def __init__(self, result: TrialResult) -> None:
        super().__init__()
        self.result = result


class Tester(Protocol):
    """Whoever can run trials: the engine, or a device that a test simulates."""

    def run(self, trial: Trial, watch: Watch) -> TrialResult:
        """Run `trial` to its end. What spoiled it is in the result.

        Raises `CommandError` or `EngineError` for what no repetition would mend.
        """
        ...
