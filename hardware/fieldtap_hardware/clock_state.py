"""Everything that keeps time here, read at once and watched."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.clock_history import (
    FOLLOWING,
    ClockHistory,
    PulseHistory,
    PulsesSeen,
    Seen,
)
from fieldtap_hardware.clock_sources import (
    LeapSeconds,
    Phc,
    Pps,
    read_leap_seconds,
    read_phcs,
    read_pulses,
    read_tai_offset_s,
)
from fieldtap_hardware.ptp import PtpClock, read_clock_at
from fieldtap_hardware.time_daemons import (
    SFPTPD_SOCKET,
    Chrony,
    Daemon,
    Sfptpd,
    management_sockets,
    read_chrony,
    read_daemons,
    read_sfptpd,
)
from fieldtap_hardware.verdicts import Unreadable

DAEMONS_EACH_S = 1.0
PAUSE_S = 0.25
LEAST_PAUSE_S = 0.05
PULSE_S = 1.5  # a pulse a second
LONGEST_WAIT_S = 20.0


class Silent(Struct, frozen=True):
    """A ptp4l that gave no answer at any of its `sockets`."""

    sockets: tuple[str, ...]
    reason: str


class ClockState(Struct, frozen=True):
    """One reading; None stands for a program that does not run."""

    ptp: tuple[PtpClock | Silent, ...] = ()
    phcs: tuple[Phc, ...] = ()
    pulses: tuple[Pps, ...] = ()
    daemons: tuple[Daemon, ...] = ()
    chrony: Chrony | Unreadable | None = None
    sfptpd: tuple[Sfptpd, ...] | Unreadable | None = None
    tai_offset_s: int = 0  # as the kernel was told
    leap: LeapSeconds | Unreadable = Unreadable("not read")


@dataclass(frozen=True)
class Readers:
    """Where a state comes from."""

    daemons: Callable[[], tuple[Daemon, ...]] = read_daemons
    ptp: Callable[[str], PtpClock | Unreadable] = read_clock_at
    phcs: Callable[[], tuple[Phc, ...]] = read_phcs
    pulses: Callable[[], tuple[Pps, ...]] = read_pulses
    chrony: Callable[[], Chrony | Unreadable] = read_chrony
    sfptpd: Callable[[], tuple[Sfptpd, ...] | Unreadable] = read_sfptpd
    leap: Callable[[], LeapSeconds | Unreadable] = read_leap_seconds


@dataclass
class Watch:
    """Looks again and again, and remembers what only time tells.

    `seen` is by management socket, `pulses_seen` by name of the source.
    """

    readers: Readers = field(default_factory=Readers)
    seen: dict[str, Seen] = field(default_factory=dict)
    pulses_seen: dict[str, PulsesSeen] = field(default_factory=dict)
    _clocks: dict[str, ClockHistory] = field(default_factory=dict)
    _pulses: dict[str, PulseHistory] = field(default_factory=dict)
    _slow: ClockState = field(default_factory=ClockState)
    _slow_read_s: float | None = None

    def look(self) -> ClockState:
        """Read everything; programs are looked for once a second at most."""
        if self._slow_read_s is None or time.monotonic() - self._slow_read_s >= DAEMONS_EACH_S:
            self._slow = self._read_daemons()
            self._slow_read_s = time.monotonic()
        state = ClockState(
            tuple(self._ask(group) for group in management_sockets(self._slow.daemons)),
            self.readers.phcs(),
            self.readers.pulses(),
            self._slow.daemons,
            self._slow.chrony,
            self._slow.sfptpd,
            read_tai_offset_s(),
            self._slow.leap,
        )
        self._remember(state)
        return state

    def settled(self, state: ClockState) -> bool:
        """Whether it is known of every clock if Sync comes, and of every source if pulses do."""
        syncs = all(
            self.seen[clock.socket].syncs_moved or self.seen[clock.socket].silent
            for clock in state.ptp
            if isinstance(clock, PtpClock) and any(p.state in FOLLOWING for p in clock.ports)
        )
        pulses = self.pulses_seen.values()
        return syncs and all(seen.moved or seen.silence_s >= PULSE_S for seen in pulses)

    def look_until_settled(self, least_s: float = 0) -> ClockState:
        """Look for at least `least_s`, and then until everything is known, within bounds."""
        started_s = time.monotonic()
        state = self.look()
        while (passed_s := time.monotonic() - started_s) < least_s or (
            not self.settled(state) and passed_s < LONGEST_WAIT_S
        ):
            time.sleep(self.pause_s)
            state = self.look()
        return state

    @property
    def pause_s(self) -> float:
        """Between two looks, so that silence is seen within its third Sync interval."""
        shortest_s = min((seen.sync_interval_s for seen in self.seen.values()), default=1.0)
        return max(LEAST_PAUSE_S, min(PAUSE_S, shortest_s / 8))

    def _read_daemons(self) -> ClockState:
        daemons = self.readers.daemons()
        running = {daemon.program for daemon in daemons}
        sfptpd = "sfptpd" in running or Path(SFPTPD_SOCKET).exists()
        return ClockState(
            daemons=daemons,
            chrony=self.readers.chrony() if "chronyd" in running else None,
            sfptpd=self.readers.sfptpd() if sfptpd else None,
            leap=self.readers.leap(),
        )

    def _ask(self, sockets: tuple[str, ...]) -> PtpClock | Silent:
        reasons = list[str]()
        for path in sockets:
            answer = self.readers.ptp(path)
            if isinstance(answer, PtpClock):
                return answer
            reasons.append(answer.reason)
        return Silent(sockets, "; ".join(reasons))

    def _remember(self, state: ClockState) -> None:
        now_ns = time.monotonic_ns()
        answered = [clock for clock in state.ptp if isinstance(clock, PtpClock)]
        for clock in answered:
            history = self._clocks.setdefault(clock.socket, ClockHistory())
            self.seen[clock.socket] = history.observe(clock, now_ns)
        for pulse in state.pulses:
            pulses = self._pulses.setdefault(pulse.name, PulseHistory())
            self.pulses_seen[pulse.name] = pulses.observe(pulse, now_ns)
        for gone in self.seen.keys() - {clock.socket for clock in answered}:
            del self.seen[gone]
