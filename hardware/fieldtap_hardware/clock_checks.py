"""Every check about time, from one reading of all that keeps it; PTP's are in `clock_rules`."""

import time
from collections.abc import Mapping

from msgspec import Struct

from fieldtap_hardware.clock import ClockReading
from fieldtap_hardware.clock_history import PulsesSeen, Seen
from fieldtap_hardware.clock_rules import check_clock, check_silent
from fieldtap_hardware.clock_settings import ClockSettings, read_settings
from fieldtap_hardware.clock_sources import NS, LeapSeconds, Phc, Pps, SystemOffset
from fieldtap_hardware.clock_state import PULSE_S, ClockState, Readers, Silent, Watch
from fieldtap_hardware.ptp import PtpClock
from fieldtap_hardware.time_daemons import Chrony, Daemon, Sfptpd
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict, worst

SYSTEM = "system clock"
NEAR_NS = 1_000  # StarlingX's audit: a minor alarm beyond it, a major one beyond a millisecond
FAR_NS = 1_000_000
CHRONY_NS = 10_000_000


class Timescale(Struct, frozen=True):
    """Which time an adapter clock tells, and how far from the system clock it is by that."""

    name: str | None  # "UTC", "TAI", None: nobody has set it
    off_ns: int


def judge(
    state: ClockState,
    seen: Mapping[str, Seen],
    pulses_seen: Mapping[str, PulsesSeen],
    settings: ClockSettings,
) -> list[Check]:
    """The checks "clock.*". One, `not_applicable`, where nothing that keeps time is here."""
    checks = list[Check]()
    for clock in state.ptp:
        if isinstance(clock, Silent):
            checks.append(check_silent(clock.sockets, clock.reason))
        else:
            known = seen.get(clock.socket, Seen())
            checks += check_clock(clock, known, settings, state.leap, time.time())
    tai_utc_s = state.leap.tai_utc_s if isinstance(state.leap, LeapSeconds) else 37
    checks += [check_phc(phc, state, tai_utc_s) for phc in state.phcs]
    checks += check_phcs_agree(state.phcs, tai_utc_s)
    checks += check_system(state, tai_utc_s)
    checks += check_steering(state)
    checks += [check_pulses(pulse, pulses_seen.get(pulse.name)) for pulse in state.pulses]
    if state.chrony is not None:
        checks.append(check_chrony(state.chrony))
    if state.sfptpd is not None:
        checks += check_sfptpd(state.sfptpd, settings)
    if not checks:
        summary = "no PTP daemon, adapter clock or source of pulses is here"
        checks.append(Check("clock.ptp", "clock", Verdict.NOT_APPLICABLE, summary, {}))
    return checks


# --- adapter clocks -------------------------------------------------------------------------------


def timescale(offset: SystemOffset, tai_utc_s: int) -> Timescale:
    """Within a second of UTC or TAI it was set to that; as the engine takes it."""
    for name, ahead_ns in (("UTC", 0), ("TAI", tai_utc_s * NS)):
        if abs(offset.offset_ns - ahead_ns) < NS:
            return Timescale(name, offset.offset_ns - ahead_ns)
    return Timescale(None, offset.offset_ns)


def check_phc(phc: Phc, state: ClockState, tai_utc_s: int) -> Check:
    """An adapter clock must move, and have been set."""
    reading, offset = phc.reading, phc.offset
    scale = timescale(offset, tai_utc_s) if isinstance(offset, SystemOffset) else None
    evidence: Evidence = {
        "name": phc.name,
        "advanced_ns": reading.advanced_ns if isinstance(reading, ClockReading) else None,
        "elapsed_ns": reading.elapsed_ns if isinstance(reading, ClockReading) else None,
        "less_system_ns": offset.offset_ns if isinstance(offset, SystemOffset) else None,
        "uncertainty_ns": offset.uncertainty_ns if isinstance(offset, SystemOffset) else None,
        "timescale": scale.name if scale else None,
        "kernel_tai_utc_s": state.tai_offset_s,
    }
    subject, again = f"/dev/ptp{phc.index}", "check again as a user who may read the clock"

    def judged(verdict: Verdict, summary: str, remedy: str | None = None) -> Check:
        return Check("clock.phc", subject, verdict, summary, evidence, remedy)

    if isinstance(reading, Unreadable):
        return judged(Verdict.UNKNOWN, f"cannot be read: {reading.reason}", again)
    if not reading.moves:
        remedy = "capture with the host's stamps (`ft-capture -t host`), or use another adapter"
        return judged(Verdict.FAIL, "does not keep time, whatever its driver says", remedy)
    if isinstance(offset, Unreadable):
        return judged(Verdict.UNKNOWN, f"moves; cannot be compared: {offset.reason}", again)
    if scale is None or scale.name is None:
        remedy = "run ptp4l on a port of this adapter, or `phc_ctl PORT set`"
        return judged(
            Verdict.WARN, "moves, but nobody has set it: it tells neither UTC nor TAI", remedy
        )
    summary = f"moves and tells {scale.name}, {scale.off_ns:+,} ns from the system clock"
    if scale.name == "UTC" and _follows_tai(state):
        remedy = "see the grandmaster's timescale: an adapter clock under PTP tells TAI"
        return judged(Verdict.WARN, f"{summary}, while PTP gives TAI", remedy)
    return judged(Verdict.OK, summary)


def _follows_tai(state: ClockState) -> bool:
    return any(
        clock.time is not None
        and clock.time.ptp_timescale
        and any(
            port.state == "SLAVE" and port.properties and port.properties.timestamping == "HARDWARE"
            for port in clock.ports
        )
        for clock in state.ptp
        if isinstance(clock, PtpClock)
    )


def _set_clocks(phcs: tuple[Phc, ...], tai_utc_s: int) -> list[tuple[Phc, int, int]]:
    """Adapter clocks that move and were set: how far from the system clock, and how sure (ns)."""
    found = list[tuple[Phc, int, int]]()
    for phc in phcs:
        moves = isinstance(phc.reading, ClockReading) and phc.reading.moves
        if moves and isinstance(phc.offset, SystemOffset):
            scale = timescale(phc.offset, tai_utc_s)
            if scale.name is not None:
                found.append((phc, scale.off_ns, phc.offset.uncertainty_ns))
    return found


def check_phcs_agree(phcs: tuple[Phc, ...], tai_utc_s: int) -> list[Check]:
    """Stamps of two adapters compare only where their clocks agree; one clock needs no check."""
    clocks = _set_clocks(phcs, tai_utc_s)
    if len(clocks) < 2:
        return []
    low, high = min(clocks, key=lambda each: each[1]), max(clocks, key=lambda each: each[1])
    apart_ns, sure_ns = high[1] - low[1], high[2] + low[2]
    evidence: Evidence = {
        "clocks": [f"/dev/ptp{phc.index}" for phc, _, _ in clocks],
        "apart_ns": apart_ns,
        "uncertainty_ns": sure_ns,
    }
    if apart_ns <= NEAR_NS + sure_ns:
        verdict, remedy = Verdict.OK, None
    else:
        verdict = Verdict.WARN
        source, sink = f"/dev/ptp{low[0].index}", f"/dev/ptp{high[0].index}"
        remedy = f"tie them together: `phc2sys -s {source} -c {sink} -O 0`, or use one adapter"
    summary = f"are {apart_ns:,} ns apart, give or take {sure_ns:,}"
    return [Check("clock.agreement", "adapter clocks", verdict, summary, evidence, remedy)]


# --- the system clock -----------------------------------------------------------------------------


def check_system(state: ClockState, tai_utc_s: int) -> list[Check]:
    """Host stamps are as good as the system clock: does it follow the adapter's?

    phc2sys answers nobody, so that it runs is seen in /proc, and what it achieves is measured.
    """
    carriers = [d for d in state.daemons if d.program in ("phc2sys", "sfptpd")]
    hardware = any(
        port.properties is not None and port.properties.timestamping == "HARDWARE"
        for clock in state.ptp
        if isinstance(clock, PtpClock)
        for port in clock.ports
    )
    if not carriers and not hardware:
        return []
    clocks = _set_clocks(state.phcs, tai_utc_s)
    evidence: Evidence = {
        "programs": [f"{daemon.program} ({daemon.pid})" for daemon in carriers],
        "off_ns": [str(off_ns) for _, off_ns, _ in clocks],
        "uncertainty_ns": max((sure_ns for _, _, sure_ns in clocks), default=None),
    }

    def judged(verdict: Verdict, summary: str, remedy: str | None = None) -> list[Check]:
        return [Check("clock.system", SYSTEM, verdict, summary, evidence, remedy)]

    if not carriers:
        remedy = "run `phc2sys -s PORT -w`, PORT being the one that ptp4l is on"
        return judged(Verdict.WARN, "no program carries the adapter's time to it", remedy)
    names = ", ".join(daemon.program for daemon in carriers)
    if not clocks:
        remedy = "see to the adapter's clock first"
        return judged(Verdict.UNKNOWN, f"{names} runs; no adapter clock to compare with", remedy)
    off_ns, sure_ns = min(((abs(off), sure) for _, off, sure in clocks), key=lambda pair: pair[0])
    summary = (
        f"{names} runs; it is {off_ns:,} ns from the adapter's clock, give or take {sure_ns:,}"
    )
    if off_ns <= NEAR_NS + sure_ns:
        return judged(Verdict.OK, summary)
    remedy = f"see the log of {names}, its `-s` and its `-O`"
    return judged(Verdict.WARN if off_ns <= FAR_NS else Verdict.FAIL, summary, remedy)


def check_steering(state: ClockState) -> list[Check]:
    """One program may steer the system clock; two fight, and both look well meanwhile."""
    daemons = [d for d in state.daemons if d.program != "ptp4l" or d.here is not False]
    if not daemons:
        return []
    steering = [daemon for daemon in daemons if _steers(daemon, state)]
    evidence: Evidence = {
        "running": [f"{daemon.program} ({daemon.pid})" for daemon in daemons],
        "steering": [f"{daemon.program} ({daemon.pid})" for daemon in steering],
    }
    verdict, remedy = Verdict.OK, None
    if len(steering) > 1:
        verdict = Verdict.FAIL
        summary = f"{len(steering)} programs steer it: " + ", ".join(d.program for d in steering)
        remedy = f"stop all but one, as in `systemctl stop {_unit(steering[-1])}`"
    elif steering:
        summary = f"only {steering[0].program} steers it"
    else:
        summary = "no program steers it"
    return [Check("clock.daemons", SYSTEM, verdict, summary, evidence, remedy)]


def _steers(daemon: Daemon, state: ClockState) -> bool:
    if daemon.program != "ptp4l":
        return daemon.steers_system_clock
    free = daemon.option("--free_running") == "1" or daemon.option("--clock_servo") == "ntpshm"
    sockets = {path for path in (daemon.option("--uds_address"),) if path}
    return not free and any(
        isinstance(clock, PtpClock)
        and (not sockets or clock.socket in sockets)
        and any(
            port.state in ("SLAVE", "UNCALIBRATED")
            and port.properties is not None
            and port.properties.timestamping == "SOFTWARE"
            for port in clock.ports
        )
        for clock in state.ptp
    )


def _unit(daemon: Daemon) -> str:
    return {"chronyd": "chrony", "ntpd": "ntpsec"}.get(daemon.program, daemon.program)


# --- pulses and other daemons ---------------------------------------------------------------------


def check_pulses(pulse: Pps, seen: PulsesSeen | None) -> Check:
    """A pulse a second must come."""
    evidence: Evidence = {"source": pulse.source, "sequence": pulse.sequence}
    subject = f"/dev/{pulse.name}"
    if seen is None or (not seen.moved and seen.silence_s < PULSE_S):
        summary = "was not watched for long enough to see a pulse"
        remedy = "watch it: `fieldtap clock --for 3`"
        return Check("clock.pps", subject, Verdict.UNKNOWN, summary, evidence, remedy)
    if seen.silence_s >= PULSE_S:
        remedy = "see the cable from the receiver, the pin's function, and the receiver's lock"
        summary = f"no pulse came for {seen.silence_s:.0f} s"
        return Check("clock.pps", subject, Verdict.FAIL, summary, evidence, remedy)
    return Check("clock.pps", subject, Verdict.OK, "its pulses come", evidence)


def check_chrony(chrony: Chrony | Unreadable) -> Check:
    """The system clock by chrony's own estimate and bound."""
    if isinstance(chrony, Unreadable):
        remedy = "ask as root: chrony answers others only over the network"
        summary = f"chrony does not answer: {chrony.reason}"
        return Check("clock.chrony", SYSTEM, Verdict.UNKNOWN, summary, {}, remedy)
    bound_ns = abs(chrony.offset_ns) + chrony.root_delay_ns // 2 + chrony.root_dispersion_ns
    evidence: Evidence = {
        "reference": chrony.reference,
        "stratum": chrony.stratum,
        "estimate_ns": chrony.offset_ns,
        "error_at_most_ns": bound_ns,
        "leap": chrony.leap,
    }
    if chrony.leap == "Not synchronised":
        remedy = "see `chronyc sources`: name a server that is reached, or a reference clock"
        summary = "chrony is not synchronised"
        return Check("clock.chrony", SYSTEM, Verdict.FAIL, summary, evidence, remedy)
    summary = (
        f"chrony follows {chrony.reference}, estimates {chrony.offset_ns:+,} ns, "
        f"and bounds the error by {bound_ns:,} ns"
    )
    if bound_ns > CHRONY_NS:
        remedy = "use a nearer server, or PTP"
        return Check("clock.chrony", SYSTEM, Verdict.WARN, summary, evidence, remedy)
    return Check("clock.chrony", SYSTEM, Verdict.OK, summary, evidence)


def check_sfptpd(
    instances: tuple[Sfptpd, ...] | Unreadable, settings: ClockSettings
) -> list[Check]:
    """Each sync instance of sfptpd: its alarms, whether in sync, its own estimate."""
    if isinstance(instances, Unreadable):
        remedy = "give sfptpd `openmetrics_unix on` and read access to its socket"
        summary = f"does not tell: {instances.reason}"
        return [Check("clock.sfptpd", "sfptpd", Verdict.UNKNOWN, summary, {}, remedy)]
    if not instances:
        summary, remedy = "has no sync instance with figures yet", "ask again in a few seconds"
        return [Check("clock.sfptpd", "sfptpd", Verdict.UNKNOWN, summary, {}, remedy)]
    return [_check_instance(instance, settings) for instance in instances]


def _check_instance(instance: Sfptpd, settings: ClockSettings) -> Check:
    subject = f"sfptpd {instance.instance}"
    evidence: Evidence = {
        "estimate_ns": instance.offset_ns,
        "path_delay_ns": instance.path_delay_ns,
        "in_sync": instance.in_sync,
        "disciplining": instance.disciplining,
        "alarms": list(instance.alarms),
    }

    def judged(verdict: Verdict, summary: str, remedy: str | None = None) -> Check:
        return Check("clock.sfptpd", subject, verdict, summary, evidence, remedy)

    if instance.alarms:
        remedy = "see /var/lib/sfptpd/state-* and the log of sfptpd for what the alarm is about"
        return judged(Verdict.FAIL, f"raises {', '.join(instance.alarms)}", remedy)
    if instance.in_sync is None or instance.offset_ns is None:
        return judged(Verdict.UNKNOWN, "tells no offset or no state", "ask again in a few seconds")
    estimate = f"estimates {instance.offset_ns:+,} ns"
    if not instance.in_sync:
        remedy = "wait a minute; then see its state in /var/lib/sfptpd"
        return judged(Verdict.WARN, f"is not in sync; {estimate}", remedy)
    if abs(instance.offset_ns) > settings.limit_ns:
        remedy = "see the path to the master, and whether the adapter stamps PTP's frames"
        return judged(Verdict.WARN, f"is in sync; {estimate}", remedy)
    return judged(Verdict.OK, f"is in sync; {estimate}")


# --- all of it ------------------------------------------------------------------------------------


class ClockReport(Struct, frozen=True, kw_only=True):
    """`fieldtap.clock/1`: what keeps time here, and what to think of it."""

    schema: str = "fieldtap.clock/1"
    verdict: Verdict
    state: ClockState
    checks: tuple[Check, ...]


def read_report(least_s: float = 0, readers: Readers | None = None) -> ClockReport:
    """Look until it is known whether Sync comes, and for at least `least_s`; then judge.

    Takes a fraction of a second where nothing keeps time, and up to three Sync intervals where a
    master is silent.
    """
    watch = Watch(readers or Readers())
    return report_of(watch, watch.look_until_settled(least_s))


def report_of(watch: Watch, state: ClockState) -> ClockReport:
    """Judge one reading of a watch."""
    checks = judge(state, watch.seen, watch.pulses_seen, read_settings())
    verdict = worst(check.verdict for check in checks)
    return ClockReport(verdict=verdict, state=state, checks=tuple(checks))
