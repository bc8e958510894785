"""What only time tells about a clock: does Sync come, do offsets stay small, who was followed.

Fed with one reading after another; what it sums up (`Seen`) is a plain value for the rules.
"""

import math
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from fieldtap_hardware.clock_sources import Pps
from fieldtap_hardware.ptp import PtpClock, PtpPort

NS = 1_000_000_000
SILENT_INTERVALS = 2.5  # two Syncs are missing; said before the third interval has passed
USUAL_INTERVAL_S = 1.0  # IEEE 1588, default profile: logSyncInterval 0
KEPT_SAMPLES = 600
FOLLOWING = ("SLAVE", "UNCALIBRATED")


class Seen(Struct, frozen=True):
    """What was seen of one clock since the watch began, or since it lost its lock.

    `offset_p99_ns` is the 99th percentile of the absolute estimates, one a Sync, in state SLAVE.
    `silence_s` is how long ago the count of Syncs last grew; `syncs_moved` whether it ever did.
    """

    samples: int = 0
    offset_p99_ns: float | None = None
    delay_min_ns: float | None = None
    delay_max_ns: float | None = None
    grandmasters: tuple[str, ...] = ()  # in the order in which they were followed
    syncs_moved: bool = False
    silence_s: float = 0
    sync_interval_s: float = 1
    announces: int = 0
    announces_expected: float = 0

    @property
    def silent(self) -> bool:
        return self.silence_s >= SILENT_INTERVALS * self.sync_interval_s


def following_port(clock: PtpClock) -> PtpPort | None:
    """The port that receives time: a slave, else one that is about to be, else the first."""
    for state in FOLLOWING:
        for port in clock.ports:
            if port.state == state:
                return port
    return clock.ports[0] if clock.ports else None


def percentile_99(values: Sequence[float]) -> float | None:
    """The smallest value that at least 99 of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else None


class ClockHistory:
    """Readings of one clock, in the order of their time (monotonic nanoseconds)."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=KEPT_SAMPLES)
        self._delays: deque[float] = deque(maxlen=KEPT_SAMPLES)
        self._grandmasters: list[str] = []
        self._ingress_ns: int | None = None
        self._port: str | None = None
        self._syncs: deque[tuple[int, int]] = deque(maxlen=16)  # when the count was first seen
        self._announces: tuple[int, int] | None = None

    def observe(self, clock: PtpClock, now_ns: int) -> Seen:
        """Take a reading in."""
        port = following_port(clock)
        if port is None or port.settings.port != self._port:
            self._port = port.settings.port if port else None
            self._syncs.clear()
            self._announces = None
        self._take_estimates(clock, port)
        self._take_grandmaster(clock)
        if port is not None and port.stats is not None:
            self._take_counts(port, now_ns)
        return self._sum_up(port, now_ns)

    def _take_estimates(self, clock: PtpClock, port: PtpPort | None) -> None:
        if port is None or port.state != "SLAVE":
            self._offsets.clear()  # an offset before the lock is no estimate
            self._delays.clear()
        elif clock.status is not None and clock.status.ingress_ns != self._ingress_ns:
            self._ingress_ns = clock.status.ingress_ns
            self._offsets.append(clock.status.offset_ns)
            if clock.current is not None and clock.current.path_delay_ns > 0:
                self._delays.append(clock.current.path_delay_ns)

    def _take_grandmaster(self, clock: PtpClock) -> None:
        parent = clock.parent
        if parent is None or parent.grandmaster == clock.default.identity:
            return
        if self._grandmasters[-1:] != [parent.grandmaster]:
            self._grandmasters.append(parent.grandmaster)
            self._announces = None  # counts of one master do not go with another's
            del self._grandmasters[:-8]

    def _take_counts(self, port: PtpPort, now_ns: int) -> None:
        assert port.stats is not None
        if not self._syncs or port.stats.syncs != self._syncs[-1][1]:
            if self._syncs and port.stats.syncs < self._syncs[-1][1]:
                self._syncs.clear()  # the daemon was started anew
                self._announces = None
            self._syncs.append((now_ns, port.stats.syncs))
        if self._announces is None or port.state not in FOLLOWING:
            self._announces = (now_ns, port.stats.announces)

    def _sum_up(self, port: PtpPort | None, now_ns: int) -> Seen:
        announces, expected = 0, 0.0
        if port is not None and port.stats is not None and self._announces is not None:
            since_ns, count = self._announces
            announces = port.stats.announces - count
            expected = (now_ns - since_ns) / NS / port.settings.announce_interval_s
        return Seen(
            len(self._offsets),
            percentile_99([abs(offset) for offset in self._offsets]),
            min(self._delays, default=None),
            max(self._delays, default=None),
            tuple(self._grandmasters),
            len(self._syncs) > 1,
            (now_ns - self._syncs[-1][0]) / NS if self._syncs else 0,
            self._interval_s(port),
            announces,
            expected,
        )

    def _interval_s(self, port: PtpPort | None) -> float:
        """The master's interval as it was seen, else the one that is configured here.

        Before any Sync came, not less than the usual one: what is configured here need not be the
        master's.
        """
        configured_s = port.settings.sync_interval_s if port else 1
        if len(self._syncs) < 2:
            return max(configured_s, USUAL_INTERVAL_S)
        if len(self._syncs) < 4:
            return configured_s
        (first_ns, first), (last_ns, last) = self._syncs[1], self._syncs[-1]
        return max(configured_s, (last_ns - first_ns) / NS / (last - first))


class PulseHistory:
    """Readings of one source of pulses."""

    def __init__(self) -> None:
        self._first: tuple[int, int | None] | None = None
        self._last: tuple[int, int | None] | None = None

    def observe(self, pulse: Pps, now_ns: int) -> "PulsesSeen":
        """Take a reading in."""
        if self._first is None or self._last is None:
            self._first = self._last = (now_ns, pulse.sequence)
        moved = self._first[1] != pulse.sequence
        if pulse.sequence != self._last[1]:
            self._last = (now_ns, pulse.sequence)
        return PulsesSeen(moved, (now_ns - self._last[0]) / NS)


class PulsesSeen(Struct, frozen=True):
    """Whether a pulse came since the watch began, and for how long none has."""

    moved: bool
    silence_s: float
