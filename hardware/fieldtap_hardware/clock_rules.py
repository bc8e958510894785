"""Rules about a PTP clock: values in, verdicts out.

The offset is the slave's own estimate. What an asymmetric path adds to it no slave can see, so an
error bar says what is in it, and the estimate is never called the truth.
"""

from collections.abc import Sequence

from fieldtap_hardware.clock_history import FOLLOWING, Seen, following_port
from fieldtap_hardware.clock_settings import SETTINGS_FILE, ClockSettings
from fieldtap_hardware.clock_sources import LeapSeconds
from fieldtap_hardware.ptp import PtpClock, PtpPort
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict

LEAST_SAMPLES = 60
PATH_STEP = 2.0
MASTERS = ("MASTER", "GRAND_MASTER")
SEVERAL_MASTERS = 1.6  # times the announcements of one
LEAST_ANNOUNCES = 5.0

# IEEE 1588-2008 table 5, IEEE 1588-2019 clause 7.6.2.5; G.8275.1 for 135 to 165.
LOCKED_CLASSES = (6, 13)
HOLDOVER_CLASSES = (7, 14)
DEGRADED_CLASSES = (52, 58, 187, 193)
ACCURACY_NS = {
    0x20: 25,
    0x21: 100,
    0x22: 250,
    0x23: 1_000,
    0x24: 2_500,
    0x25: 10_000,
    0x26: 25_000,
    0x27: 100_000,
    0x28: 250_000,
    0x29: 1_000_000,
}
GOOD_ACCURACY_NS = 1_000


def check_clock(
    clock: PtpClock,
    seen: Seen,
    settings: ClockSettings,
    leap: LeapSeconds | Unreadable,
    now_s: float,
) -> list[Check]:
    """Every check of one PTP clock; the subject is its interfaces. `now_s` is Unix time."""
    port = following_port(clock)
    if port is None:
        return [
            _check("clock.ptp", clock, Verdict.UNKNOWN, "told nothing of its ports", {}, ASK_AGAIN),
        ]
    checks = [
        check_state(clock, port),
        check_grandmaster(clock, port, seen, settings),
        check_sync(clock, port, seen),
        check_offset(clock, port, seen, settings),
        check_stamping(clock, port),
    ]
    if port.state in FOLLOWING:
        checks += [
            check_quality(clock),
            check_path(clock, port, seen),
            check_utc(clock, leap, now_s),
        ]
    return checks


ASK_AGAIN = "ask again in a few seconds; if it stays so, see the log of ptp4l"
ANNOUNCE_REMEDY = (
    "see that the grandmaster sends, in this domain and by this transport, and that the switch "
    "passes it on: `tcpdump -ni {port} 'ether proto 0x88f7 or udp port 319 or udp port 320'`"
)


Judged = tuple[Verdict, str, str | None]
"""Verdict, summary, remedy."""

OTHER_STATES = {
    "UNCALIBRATED": (
        Verdict.WARN,
        "has a master and is not locked to it (UNCALIBRATED)",
        "wait a minute; if it stays so, see the log of ptp4l for what it rejects",
    ),
    "PASSIVE": (
        Verdict.WARN,
        "is PASSIVE: it knows a better master, and follows none",
        "run ptp4l with `-s` (client only)",
    ),
    "DISABLED": (Verdict.FAIL, "is DISABLED", "start ptp4l anew on this port"),
    "FAULTY": (
        Verdict.FAIL,
        "is FAULTY",
        "see the link (`ip link show {port}`) and the log of ptp4l",
    ),
}


def check_state(clock: PtpClock, port: PtpPort) -> Check:
    """`ok` for a slave, and for a master whose own clock is locked; nothing else is in step."""
    status, current = clock.status, clock.current
    evidence: Evidence = {
        "state": port.state,
        "offset_ns": status.offset_ns if status else None,
        "path_delay_ns": current.path_delay_ns if current else None,
        "steps_removed": current.steps_removed if current else None,
        "domain": clock.default.domain,
        "identity": clock.default.identity,
        "socket": clock.socket,
        "states": [f"{each.name} {each.state}" for each in clock.ports],
    }
    verdict, summary, remedy = _judge_state(clock, port)
    return _check("clock.ptp", clock, verdict, summary, evidence, remedy)


def _judge_state(clock: PtpClock, port: PtpPort) -> Judged:
    state, grade = port.state, clock.default.clock_class
    if state == "SLAVE":
        offset = f"; estimates {clock.status.offset_ns:+,} ns" if clock.status else ""
        return Verdict.OK, f"follows its master (SLAVE){offset}", None
    if state in MASTERS and grade in (*LOCKED_CLASSES, *HOLDOVER_CLASSES):
        return Verdict.OK, f"is the master itself, of class {grade} by its own word", None
    if state in MASTERS:
        remedy = "run ptp4l with `-s` (client only), and see that the grandmaster is heard"
        return Verdict.WARN, f"is itself the master ({state}): nothing corrects it", remedy
    if state.startswith("UNKNOWN"):
        return Verdict.UNKNOWN, f"is in no state known here ({state})", ASK_AGAIN
    if state in OTHER_STATES:
        verdict, summary, remedy = OTHER_STATES[state]
        return verdict, summary, remedy.format(port=port.name)
    return Verdict.FAIL, f"hears no master ({state})", ANNOUNCE_REMEDY.format(port=port.name)


def check_grandmaster(clock: PtpClock, port: PtpPort, seen: Seen, settings: ClockSettings) -> Check:
    """`ok` for a pinned grandmaster that is there; `fail` for any other where some are pinned.

    More announcements than one master sends, or a change while watched, is a warning: a second one
    is about.
    """
    parent = clock.parent
    evidence: Evidence = {
        "grandmaster": parent.grandmaster if parent else None,
        "pinned": list(settings.grandmaster),
        "followed": list(seen.grandmasters),
        "present": clock.status.grandmaster_present if clock.status else None,
        "priority1": parent.priority1 if parent else None,
        "priority2": parent.priority2 if parent else None,
        "parent": parent.port if parent else None,
        "announces": seen.announces,
        "announces_expected": round(seen.announces_expected, 1),
    }
    if settings.problem:
        summary = f"who is pinned is not known: {settings.problem}"
        remedy = f"correct {settings.problem.partition(':')[0]}"
        return _check("clock.grandmaster", clock, Verdict.UNKNOWN, summary, evidence, remedy)
    if parent is None:
        summary = "did not tell whom it follows"
        return _check("clock.grandmaster", clock, Verdict.UNKNOWN, summary, evidence, ASK_AGAIN)
    judged = _judge_followed(clock, port, parent.grandmaster, settings) or _judge_others(
        port, parent.grandmaster, seen, settings
    )
    return _check("clock.grandmaster", clock, judged[0], judged[1], evidence, judged[2])


def _judge_followed(
    clock: PtpClock, port: PtpPort, followed: str, settings: ClockSettings
) -> Judged | None:
    """What is wrong with the grandmaster itself, if anything."""
    hear = ANNOUNCE_REMEDY.format(port=port.name)
    if followed == clock.default.identity and not settings.allows(followed):
        verdict = Verdict.FAIL if settings.grandmaster else Verdict.UNKNOWN
        return verdict, "follows no grandmaster", hear
    if settings.grandmaster and not settings.allows(followed):
        summary = f"follows {followed}, not the pinned {' or '.join(settings.grandmaster)}"
        remedy = f"find {followed} and stop it, or, if it may be followed, {_pin(followed)}"
        return Verdict.FAIL, summary, remedy
    gone = clock.status is not None and not clock.status.grandmaster_present
    if gone and followed != clock.default.identity:
        return Verdict.WARN, f"no longer hears its grandmaster {followed}", hear
    return None


def _judge_others(port: PtpPort, followed: str, seen: Seen, settings: ClockSettings) -> Judged:
    """Whether another master is about, or could take over unseen."""
    if len(set(seen.grandmasters)) > 1 and not settings.grandmaster:
        summary = f"changed its grandmaster from {seen.grandmasters[-2]} to {followed}"
        remedy = f"find out which of the two is right, stop the other, then {_pin(followed)}"
        return Verdict.WARN, summary, remedy
    several = seen.announces > SEVERAL_MASTERS * seen.announces_expected
    if several and seen.announces_expected >= LEAST_ANNOUNCES:
        summary = (
            f"received {seen.announces} announcements where one master sends "
            f"{seen.announces_expected:.0f}: a second master, or a shorter interval there"
        )
        who = f"`tcpdump -vni {port.name} 'ether proto 0x88f7 or udp port 320'`"
        return Verdict.WARN, summary, f"see who announces: {who}"
    if not settings.grandmaster:
        summary = f"follows {followed}, which nobody has pinned"
        return Verdict.WARN, summary, f"if it is the right one, {_pin(followed)}"
    return Verdict.OK, f"follows {followed}, which is pinned", None


def _pin(identity: str) -> str:
    return f'write `grandmaster = ["{identity}"]` into {SETTINGS_FILE}'


def check_sync(clock: PtpClock, port: PtpPort, seen: Seen) -> Check:
    """`fail` once the third Sync in a row is due and none has come, whatever the state says."""
    evidence: Evidence = {
        "syncs": port.stats.syncs if port.stats else None,
        "silent": seen.silent,
        "silence_s": round(seen.silence_s, 3),
        "sync_interval_s": seen.sync_interval_s,
    }
    if port.state in MASTERS:
        summary = "is the master, and receives no Sync"
        return _check("clock.sync", clock, Verdict.NOT_APPLICABLE, summary, evidence)
    if port.stats is None:
        summary = "did not tell how many Syncs it received"
        return _check("clock.sync", clock, Verdict.UNKNOWN, summary, evidence, ASK_AGAIN)
    if seen.silent:
        summary = "receives no Sync: its master is silent"
        remedy = ANNOUNCE_REMEDY.format(port=port.name)
        return _check("clock.sync", clock, Verdict.FAIL, summary, evidence, remedy)
    if not seen.syncs_moved:
        summary = "was not watched for long enough to see a Sync come"
        remedy = "watch it: `fieldtap clock --for 10`"
        return _check("clock.sync", clock, Verdict.UNKNOWN, summary, evidence, remedy)
    summary = f"receives Sync, every {seen.sync_interval_s:.3g} s or sooner"
    return _check("clock.sync", clock, Verdict.OK, summary, evidence)


def check_offset(clock: PtpClock, port: PtpPort, seen: Seen, settings: ClockSettings) -> Check:
    """Judged by the 99th percentile of at least 60 estimates, all of them while locked."""
    status, current, parent = clock.status, clock.current, clock.parent
    accuracy_ns = ACCURACY_NS.get(parent.accuracy) if parent else None
    delay_ns = current.path_delay_ns if current and current.path_delay_ns > 0 else None
    known = seen.offset_p99_ns is not None and delay_ns is not None and accuracy_ns is not None
    evidence: Evidence = {
        "estimate_ns": status.offset_ns if status else None,
        "samples": seen.samples,
        "estimate_p99_ns": seen.offset_p99_ns,
        "goal_ns": settings.goal_ns,
        "unseen_asymmetry_at_most_ns": delay_ns,
        "grandmaster_accuracy_ns": accuracy_ns,
        "error_at_most_ns": (seen.offset_p99_ns or 0) + (delay_ns or 0) + (accuracy_ns or 0)
        if known
        else None,
        "basis": "the slave's own estimate",
    }

    def judged(verdict: Verdict, summary: str, remedy: str | None = None) -> Check:
        return _check("clock.offset", clock, verdict, summary, evidence, remedy)

    if port.state in MASTERS:
        return judged(Verdict.NOT_APPLICABLE, "is the master, and has no offset")
    if port.state != "SLAVE":
        summary = f"has no offset before it is locked ({port.state})"
        return judged(Verdict.UNKNOWN, summary, "see to the state of the port first")
    if seen.silent:
        return judged(Verdict.UNKNOWN, "no longer estimates: Sync is missing", "see to Sync first")
    if status is None:
        return judged(Verdict.UNKNOWN, "did not tell its offset", ASK_AGAIN)
    p99_ns = seen.offset_p99_ns
    if p99_ns is None or seen.samples < LEAST_SAMPLES:
        summary = (
            f"estimates {status.offset_ns:+,} ns; {LEAST_SAMPLES} estimates are needed for a "
            f"verdict, and {seen.samples} were seen"
        )
        seconds = max(10, round((LEAST_SAMPLES + 2) * seen.sync_interval_s))
        return judged(Verdict.UNKNOWN, summary, f"watch it: `fieldtap clock --for {seconds}`")
    hidden = f"; an asymmetric path may hide up to {delay_ns:,.0f} ns more" if delay_ns else ""
    summary = f"99 of 100 estimates are within {p99_ns:,.0f} ns of the master{hidden}"
    if p99_ns <= settings.goal_ns:
        return judged(Verdict.OK, summary)
    remedy = (
        f"for {settings.goal_ns:g} ns: stamps by the adapter (`ptp4l -H`), a switch that is a "
        "boundary or transparent clock, and no other load on the path"
    )
    verdict = Verdict.WARN if p99_ns <= settings.limit_ns else Verdict.FAIL
    return judged(verdict, f"{summary}; the goal is {settings.goal_ns:g} ns", remedy)


def check_stamping(clock: PtpClock, port: PtpPort) -> Check:
    """`ok` where the adapter stamps PTP's frames."""
    stamping = port.properties.timestamping if port.properties else None
    evidence: Evidence = {
        "timestamping": stamping,
        "phc_index": port.hwclock.phc_index if port.hwclock else None,
    }
    if stamping is None or stamping.startswith("UNKNOWN"):
        summary = "did not tell who stamps PTP's frames"
        return _check("clock.stamping", clock, Verdict.UNKNOWN, summary, evidence, ASK_AGAIN)
    if stamping in ("SOFTWARE", "LEGACY"):
        summary = f"the host stamps PTP's frames ({stamping}): expect a microsecond, not 50 ns"
        remedy = "run ptp4l with `-H`, on an adapter whose clock moves (`fieldtap ports`)"
        return _check("clock.stamping", clock, Verdict.WARN, summary, evidence, remedy)
    summary = f"the adapter stamps PTP's frames ({stamping})"
    return _check("clock.stamping", clock, Verdict.OK, summary, evidence)


def check_quality(clock: PtpClock) -> Check:
    """The grandmaster's class and accuracy, by its own word."""
    parent = clock.parent
    if parent is None:
        summary = "did not tell how good its grandmaster is"
        return _check("clock.quality", clock, Verdict.UNKNOWN, summary, {}, ASK_AGAIN)
    grade, accuracy_ns = parent.clock_class, ACCURACY_NS.get(parent.accuracy)
    evidence: Evidence = {
        "clock_class": grade,
        "accuracy": f"0x{parent.accuracy:02x}",
        "accuracy_ns": accuracy_ns,
    }
    within = "accuracy unknown" if accuracy_ns is None else f"accurate to {accuracy_ns:,} ns"
    says = f"the grandmaster says class {grade}"
    remedy: str | None = "see to the grandmaster's own reference: antenna, cable, receiver"
    if grade in LOCKED_CLASSES and accuracy_ns is not None and accuracy_ns <= GOOD_ACCURACY_NS:
        verdict, summary, remedy = Verdict.OK, f"{says} (locked), {within}", None
    elif grade in LOCKED_CLASSES:
        verdict, summary = Verdict.WARN, f"{says} (locked), {within}"
        remedy = "have the grandmaster announce its accuracy, or expect no better than it says"
    elif grade in HOLDOVER_CLASSES:
        verdict, summary = Verdict.WARN, f"{says} (holdover, still within its specification)"
    elif grade in DEGRADED_CLASSES:
        verdict, summary = Verdict.WARN, f"{says} (degraded)"
    elif grade == 248:
        verdict, summary = Verdict.FAIL, f"{says}: it runs free, and its time is nobody's"
    else:
        verdict, summary = Verdict.FAIL, f"{says}: it has lost its reference or never had one"
    return _check("clock.quality", clock, verdict, summary, evidence, remedy)


def check_path(clock: PtpClock, port: PtpPort, seen: Seen) -> Check:
    """The delay must be above zero and keep still: a step is another path."""
    current = clock.current
    evidence: Evidence = {
        "path_delay_ns": current.path_delay_ns if current else None,
        "path_delay_min_ns": seen.delay_min_ns,
        "path_delay_max_ns": seen.delay_max_ns,
        "steps_removed": current.steps_removed if current else None,
    }
    if current is None or current.path_delay_ns == 0:
        summary = "has not measured the path's delay yet"
        remedy = "see that the master answers Delay_Req, and that both ends use one mechanism"
        return _check("clock.path", clock, Verdict.UNKNOWN, summary, evidence, remedy)
    if current.path_delay_ns < 0:
        summary = f"measures a path of {current.path_delay_ns:,.0f} ns, which cannot be"
        remedy = "set `delayAsymmetry`, `ingressLatency` and `egressLatency` of ptp4l right"
        return _check("clock.path", clock, Verdict.FAIL, summary, evidence, remedy)
    away = f"{current.path_delay_ns:,.0f} ns away, {_steps(current.steps_removed)}"
    low, high = seen.delay_min_ns, seen.delay_max_ns
    if low is not None and high is not None and high > PATH_STEP * low:
        summary = f"the path's delay went from {low:,.0f} to {high:,.0f} ns; the master is {away}"
        remedy = "see for a change of path or load between here and the master"
        return _check("clock.path", clock, Verdict.WARN, summary, evidence, remedy)
    return _check("clock.path", clock, Verdict.OK, f"the master is {away}", evidence)


def _steps(steps: int) -> str:
    return "directly" if steps == 1 else f"{steps} steps from the grandmaster"


def check_utc(clock: PtpClock, leap: LeapSeconds | Unreadable, now_s: float) -> Check:
    """What the grandmaster says of TAI less UTC, against the list of leap seconds."""
    said = clock.time
    known = leap if isinstance(leap, LeapSeconds) else None
    evidence: Evidence = {
        "utc_offset_s": said.utc_offset_s if said else None,
        "utc_offset_valid": said.utc_offset_valid if said else None,
        "ptp_timescale": said.ptp_timescale if said else None,
        "leap_announced": (said.leap59 or said.leap61) if said else None,
        "expected_s": known.tai_utc_s if known else None,
        "list_expires_s": known.expires_s if known else None,
    }

    def judged(verdict: Verdict, summary: str, remedy: str | None = None) -> Check:
        return _check("clock.utc", clock, verdict, summary, evidence, remedy)

    if said is None:
        return judged(Verdict.UNKNOWN, "did not tell its timescale", ASK_AGAIN)
    says = f"the grandmaster says that TAI is {said.utc_offset_s} s ahead of UTC"
    if known is None:
        reason = leap.reason if isinstance(leap, Unreadable) else ""
        remedy = "install the package tzdata"
        return judged(Verdict.UNKNOWN, f"{says}; what is right is not known ({reason})", remedy)
    if said.utc_offset_s > known.tai_utc_s and known.expires_s <= now_s:
        # It may know of a leap second that is not in the list; none was ever taken away.
        summary = f"{says}, {known.tai_utc_s} s says a list of leap seconds that has expired"
        return judged(Verdict.UNKNOWN, summary, "bring the package tzdata up to date")
    if said.utc_offset_s != known.tai_utc_s:
        remedy = f"set the grandmaster's UTC offset to {known.tai_utc_s} s"
        return judged(Verdict.FAIL, f"{says}; it is {known.tai_utc_s} s", remedy)
    if not said.ptp_timescale:
        remedy = "have the grandmaster use the PTP timescale (TAI), else stamps may be 37 s off"
        return judged(Verdict.WARN, f"{says}, and uses a timescale of its own", remedy)
    if not said.utc_offset_valid:
        remedy = "have the grandmaster learn the offset from its reference, and mark it valid"
        return judged(Verdict.WARN, f"{says}, and is not sure of it", remedy)
    if known.expires_s <= now_s:
        remedy = "bring the package tzdata up to date"
        return judged(Verdict.WARN, f"{says}; the list of leap seconds here has expired", remedy)
    if said.leap59 or said.leap61:
        remedy = "do not capture over midnight UTC, or note the leap second in the session"
        return judged(Verdict.WARN, f"{says}, and a leap second is announced", remedy)
    return judged(Verdict.OK, f"{says}, as it is")


def check_silent(sockets: Sequence[str], reason: str) -> Check:
    """A ptp4l that does not answer is not known to be well."""
    evidence: Evidence = {"sockets": list(sockets), "state": None}
    if "Permission denied" in reason:
        remedy = "ask as root, or use linuxptp 4 with `uds_ro_address`"
    else:
        remedy = "see whether ptp4l runs; $FIELDTAP_PTP_SOCKET names its `uds_address`"
    summary = f"does not answer: {reason}"
    return Check("clock.ptp", "ptp4l", Verdict.UNKNOWN, summary, evidence, remedy)


def _check(
    check: str,
    clock: PtpClock,
    verdict: Verdict,
    summary: str,
    evidence: Evidence,
    remedy: str | None = None,
) -> Check:
    return Check(check, clock.name, verdict, summary, evidence, remedy)
