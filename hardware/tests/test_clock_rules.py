"""The rules about clocks, over constructed readings; each warning and failure names a remedy."""

from collections.abc import Iterator

import msgspec
import pytest
from fieldtap_hardware.clock import ClockReading
from fieldtap_hardware.clock_checks import (
    check_chrony,
    check_phc,
    check_phcs_agree,
    check_pulses,
    check_sfptpd,
    check_steering,
    judge,
)
from fieldtap_hardware.clock_history import ClockHistory, PulseHistory, Seen, percentile_99
from fieldtap_hardware.clock_rules import check_clock
from fieldtap_hardware.clock_settings import ClockSettings
from fieldtap_hardware.clock_sources import LeapSeconds, Phc, Pps, SystemOffset
from fieldtap_hardware.clock_state import ClockState, Silent
from fieldtap_hardware.ptp import (
    STATES,
    CurrentSet,
    DefaultSet,
    ParentSet,
    PortProperties,
    PortSet,
    PortStats,
    PtpClock,
    PtpPort,
    TimeProperties,
    TimeStatus,
)
from fieldtap_hardware.time_daemons import Chrony, Daemon, Sfptpd
from fieldtap_hardware.verdicts import Check, Unreadable, Verdict

OWN, FIRST, SECOND = "001122.fffe.334455", "863c42.fffe.cb8adf", "8ad075.fffe.2ec167"
NS = 1_000_000_000
NOW_S = 1_795_000_000
LEAP = LeapSeconds(37, NOW_S + 1)
GOOD = Seen(
    samples=100,
    offset_p99_ns=38.0,
    delay_min_ns=700.0,
    delay_max_ns=720.0,
    grandmasters=(FIRST,),
    syncs_moved=True,
    silence_s=0.1,
)
PINNED = ClockSettings(grandmaster=(FIRST,))
MOVES, STILL = ClockReading(0, 20_000_000, 20_000_100), ClockReading(0, 0, 20_000_000)


DEFAULT = DefaultSet(
    two_step=True,
    slave_only=True,
    ports=1,
    priority1=128,
    clock_class=255,
    accuracy=0xFE,
    priority2=128,
    identity=OWN,
    domain=0,
)


def tai(offset_s: int, *, valid: bool = True, ptp: bool = True) -> TimeProperties:
    return TimeProperties(
        utc_offset_s=offset_s,
        leap61=False,
        leap59=False,
        utc_offset_valid=valid,
        ptp_timescale=ptp,
        time_traceable=True,
        frequency_traceable=True,
        source=0x20,
    )


def status(offset_ns: int, ingress_ns: int) -> TimeStatus:
    return TimeStatus(offset_ns, ingress_ns, grandmaster_present=True, grandmaster=FIRST)


def port(state: str = "SLAVE", syncs: int = 10, stamping: str = "HARDWARE") -> PtpPort:
    return PtpPort(
        PortSet(f"{OWN}-1", state, 2.0, 3, 1.0),
        PortStats(f"{OWN}-1", syncs, syncs, syncs, 5),
        PortProperties(f"{OWN}-1", state, stamping, "eth2"),
    )


def a_clock(state: str = "SLAVE", **changes: object) -> PtpClock:
    clock = PtpClock(
        "/run/ptp4l",
        DEFAULT,
        CurrentSet(1, -20.0, 710.0),
        ParentSet(f"{FIRST}-1", 128, 6, 0x21, 128, FIRST),
        tai(37),
        status(-20, 1),
        (port(state),),
    )
    return msgspec.structs.replace(clock, **changes)


def checks_of(
    clock: PtpClock, seen: Seen = GOOD, settings: ClockSettings = PINNED, **more: object
) -> dict[str, Check]:
    leap = more.get("leap", LEAP)
    assert isinstance(leap, LeapSeconds | Unreadable)
    found = check_clock(clock, seen, settings, leap, NOW_S)
    for check in found:
        assert check.verdict not in (Verdict.WARN, Verdict.FAIL) or check.remedy, check
    return {check.id.removeprefix("clock."): check for check in found}


def test_a_locked_slave_of_a_pinned_master_is_ok_throughout() -> None:
    assert {check.verdict for check in checks_of(a_clock()).values()} == {Verdict.OK}


@pytest.mark.parametrize("state", [*STATES, "UNKNOWN_77"])
def test_no_offset_is_ok_before_the_port_is_a_slave(state: str) -> None:
    checks = checks_of(a_clock(state))
    good = checks["offset"].verdict is Verdict.OK
    assert good == (state == "SLAVE")
    assert (checks["ptp"].verdict is Verdict.OK) == (state == "SLAVE")


def test_fewer_than_sixty_estimates_give_no_verdict_on_the_offset() -> None:
    few = msgspec.structs.replace(GOOD, samples=59)
    assert checks_of(a_clock(), few)["offset"].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("p99_ns", "verdict"),
    [(50, Verdict.OK), (51, Verdict.WARN), (1000, Verdict.WARN), (1001, Verdict.FAIL)],
)
def test_the_goal_is_fifty_nanoseconds_and_a_microsecond_the_end(
    p99_ns: float, verdict: Verdict
) -> None:
    check = checks_of(a_clock(), msgspec.structs.replace(GOOD, offset_p99_ns=p99_ns))["offset"]
    assert check.verdict is verdict
    assert check.evidence["error_at_most_ns"] == p99_ns + 710 + 100
    assert "estimates" in check.summary


def test_an_error_bar_that_lacks_a_part_is_not_given() -> None:
    clock = a_clock(parent=ParentSet(f"{FIRST}-1", 128, 6, 0xFE, 128, FIRST))
    assert checks_of(clock)["offset"].evidence["error_at_most_ns"] is None


@pytest.mark.parametrize(
    ("settings", "followed", "verdict"),
    [
        (ClockSettings(), (FIRST,), Verdict.WARN),
        (ClockSettings(), (SECOND, FIRST), Verdict.WARN),
        (PINNED, (SECOND, FIRST), Verdict.OK),
        (ClockSettings(grandmaster=("86:3C:42:FF:FE:CB:8A:DF",)), (FIRST,), Verdict.OK),
        (ClockSettings(grandmaster=(SECOND,)), (FIRST,), Verdict.FAIL),
        (ClockSettings(problem="clock.toml: garbled"), (FIRST,), Verdict.UNKNOWN),
    ],
)
def test_a_grandmaster_is_judged_by_the_pin_and_by_who_was_followed(
    settings: ClockSettings, followed: tuple[str, ...], verdict: Verdict
) -> None:
    seen = msgspec.structs.replace(GOOD, grandmasters=followed)
    assert checks_of(a_clock(), seen, settings)["grandmaster"].verdict is verdict


def test_twice_the_announcements_of_one_master_are_a_second_one() -> None:
    seen = msgspec.structs.replace(GOOD, announces=12, announces_expected=6.0)
    check = checks_of(a_clock(), seen)["grandmaster"]
    assert (check.verdict, "second master" in check.summary) == (Verdict.WARN, True)


@pytest.mark.parametrize(
    ("grade", "accuracy", "verdict"),
    [
        (6, 0x21, Verdict.OK),
        (6, 0xFE, Verdict.WARN),
        (7, 0x21, Verdict.WARN),
        (52, 0x21, Verdict.WARN),
        (187, 0x21, Verdict.WARN),
        (165, 0x21, Verdict.FAIL),
        (248, 0x21, Verdict.FAIL),
        (255, 0x21, Verdict.FAIL),
    ],
)
def test_class_and_accuracy_of_the_grandmaster(grade: int, accuracy: int, verdict: Verdict) -> None:
    clock = a_clock(parent=ParentSet(f"{FIRST}-1", 128, grade, accuracy, 128, FIRST))
    assert checks_of(clock)["quality"].verdict is verdict


@pytest.mark.parametrize(
    ("offset_s", "valid", "ptp", "leap", "verdict"),
    [
        (37, True, True, LEAP, Verdict.OK),
        (36, True, True, LEAP, Verdict.FAIL),
        (36, False, True, LEAP, Verdict.FAIL),
        (37, False, True, LEAP, Verdict.WARN),
        (37, True, False, LEAP, Verdict.WARN),
        (37, True, True, LeapSeconds(37, NOW_S), Verdict.WARN),
        (37, True, True, Unreadable("no list"), Verdict.UNKNOWN),
    ],
)
def test_the_offset_of_tai_must_be_right_valid_and_checkable(
    offset_s: int, valid: bool, ptp: bool, leap: LeapSeconds | Unreadable, verdict: Verdict
) -> None:
    clock = a_clock(time=tai(offset_s, valid=valid, ptp=ptp))
    assert checks_of(clock, leap=leap)["utc"].verdict is verdict


@pytest.mark.parametrize(
    ("delay_ns", "low", "high", "verdict"),
    [
        (710, 700, 720, Verdict.OK),
        (0, None, None, Verdict.UNKNOWN),
        (-5, 700, 720, Verdict.FAIL),
        (1500, 700, 1500, Verdict.WARN),
    ],
)
def test_the_path_has_a_delay_above_zero_that_keeps_still(
    delay_ns: float, low: float | None, high: float | None, verdict: Verdict
) -> None:
    clock = a_clock(current=CurrentSet(1, -20, delay_ns))
    seen = msgspec.structs.replace(GOOD, delay_min_ns=low, delay_max_ns=high)
    assert checks_of(clock, seen)["path"].verdict is verdict


def test_software_stamps_are_a_warning() -> None:
    clock = a_clock(ports=(port(stamping="SOFTWARE"),))
    assert checks_of(clock)["stamping"].verdict is Verdict.WARN


@pytest.mark.parametrize("lacking", ["current", "parent", "time", "status", "ports"])
def test_what_was_not_answered_is_unknown_and_never_ok(lacking: str) -> None:
    nothing = () if lacking == "ports" else None
    checks = checks_of(msgspec.structs.replace(a_clock(), **{lacking: nothing}))
    assert Verdict.UNKNOWN in {check.verdict for check in checks.values()}


# --- what time tells ------------------------------------------------------------------------------


def test_a_master_is_silent_before_its_third_sync_interval_has_passed() -> None:
    history = ClockHistory()
    history.observe(a_clock(ports=(port(syncs=1),)), 0)
    for second in (1, 2, 3):
        seen = history.observe(a_clock(ports=(port(syncs=1 + second),)), second * NS)
    assert not seen.silent
    assert not history.observe(a_clock(ports=(port(syncs=4),)), 5 * NS).silent
    assert history.observe(a_clock(ports=(port(syncs=4),)), 6 * NS - NS // 2).silent


def test_a_master_that_is_slower_than_configured_here_is_not_silent_between_its_syncs() -> None:
    history = ClockHistory()
    for sync in range(6):
        history.observe(a_clock(ports=(port(syncs=sync),)), sync * 4 * NS)
    seen = history.observe(a_clock(ports=(port(syncs=5),)), 29 * NS)
    assert (seen.sync_interval_s, seen.silent) == (4.0, False)


def test_a_master_is_not_silent_by_an_interval_that_is_only_configured_here() -> None:
    history = ClockHistory()
    eager = port(syncs=1)
    eager = msgspec.structs.replace(
        eager, settings=msgspec.structs.replace(eager.settings, sync_interval_s=0.125)
    )
    history.observe(a_clock(ports=(eager,)), 0)
    assert not history.observe(a_clock(ports=(eager,)), NS).silent
    assert history.observe(a_clock(ports=(eager,)), 3 * NS).silent


def test_an_offset_from_utc_is_not_wrong_by_a_list_that_has_expired() -> None:
    old = LeapSeconds(37, NOW_S - 1)
    check = checks_of(a_clock(time=tai(38)), leap=old)["utc"]
    assert check.verdict is Verdict.UNKNOWN
    assert "tzdata" in (check.remedy or "")


def test_estimates_count_once_a_sync_and_only_while_locked() -> None:
    history = ClockHistory()

    def look(ingress: int, offset: int, state: str = "SLAVE") -> Seen:
        clock = a_clock(state, status=status(offset, ingress))
        return history.observe(clock, ingress)

    assert look(1, -9).samples == look(1, -9).samples == 1
    assert look(2, 5).offset_p99_ns == 9
    assert look(3, 10**9, "UNCALIBRATED").samples == 0
    assert look(4, 3).offset_p99_ns == 3


def test_the_99th_percentile_leaves_out_one_of_a_hundred() -> None:
    assert percentile_99([float(n) for n in range(1, 101)]) == 99
    assert percentile_99([]) is None


def test_pulses_that_come_are_ok_and_missing_ones_fail() -> None:
    history = PulseHistory()
    first, next_one = Pps("pps0", "GPS", 5, 0), Pps("pps0", "GPS", 6, 0)
    assert check_pulses(first, history.observe(first, 0)).verdict is Verdict.UNKNOWN
    assert check_pulses(next_one, history.observe(next_one, NS)).verdict is Verdict.OK
    assert check_pulses(next_one, history.observe(next_one, 3 * NS)).verdict is Verdict.FAIL


# --- adapter clocks and programs ------------------------------------------------------------------


def a_phc(offset_ns: int, index: int = 0, reading: ClockReading = MOVES) -> Phc:
    return Phc(index, "sfc", reading, SystemOffset(offset_ns, 200))


@pytest.mark.parametrize(
    ("phc", "verdict"),
    [
        (a_phc(37 * NS + 40), Verdict.OK),
        (a_phc(-40), Verdict.OK),
        (a_phc(5 * NS), Verdict.WARN),
        (a_phc(0, reading=STILL), Verdict.FAIL),
        (Phc(0, None, Unreadable("denied"), Unreadable("denied")), Verdict.UNKNOWN),
        (Phc(0, None, MOVES, Unreadable("no such call")), Verdict.UNKNOWN),
    ],
)
def test_an_adapter_clock_must_move_and_tell_utc_or_tai(phc: Phc, verdict: Verdict) -> None:
    check = check_phc(phc, ClockState(), 37)
    assert check.verdict is verdict
    assert verdict is Verdict.OK or check.remedy


def test_under_ptp_an_adapter_clock_on_utc_is_a_warning() -> None:
    state = ClockState(ptp=(a_clock(),))
    assert check_phc(a_phc(-40), state, 37).verdict is Verdict.WARN
    assert check_phc(a_phc(37 * NS), state, 37).verdict is Verdict.OK


def test_two_adapter_clocks_must_agree_whatever_their_timescales() -> None:
    assert check_phcs_agree((a_phc(0),), 37) == []
    (near,) = check_phcs_agree((a_phc(37 * NS + 300), a_phc(0, 1)), 37)
    (far,) = check_phcs_agree((a_phc(37 * NS + 5000), a_phc(0, 1)), 37)
    assert (near.verdict, far.verdict) == (Verdict.OK, Verdict.WARN)
    assert "phc2sys -s /dev/ptp1 -c /dev/ptp0" in (far.remedy or "")


def daemon(program: str, *arguments: str, pid: int = 1, here: bool | None = True) -> Daemon:
    return Daemon(pid, program, arguments, here)


@pytest.mark.parametrize(
    ("daemons", "verdict"),
    [
        ((daemon("chronyd"),), Verdict.OK),
        ((daemon("chronyd"), daemon("phc2sys", "-s", "eth2", "-w")), Verdict.FAIL),
        ((daemon("chronyd", "-x"), daemon("phc2sys", "-s", "eth2", "-w")), Verdict.OK),
        ((daemon("chronyd"), daemon("phc2sys", "-a", "-r")), Verdict.FAIL),
        ((daemon("chronyd"), daemon("phc2sys", "-a", "-r", "-E", "ntpshm")), Verdict.OK),
        ((daemon("chronyd"), daemon("phc2sys", "-a")), Verdict.OK),
        ((daemon("chronyd"), daemon("phc2sys", "-s", "eth2", "-c", "eth3")), Verdict.OK),
        ((daemon("ntpd"), daemon("sfptpd")), Verdict.FAIL),
    ],
)
def test_two_programs_that_steer_the_system_clock_are_a_failure(
    daemons: tuple[Daemon, ...], verdict: Verdict
) -> None:
    (check,) = check_steering(ClockState(daemons=daemons))
    assert check.verdict is verdict
    assert verdict is Verdict.OK or "systemctl stop" in (check.remedy or "")


def chrony_says(leap: str = "Normal", dispersion_ns: int = 1000) -> Chrony:
    return Chrony("ntp.example", 2, 100, 50, 2000, dispersion_ns, leap)


def test_chrony_is_judged_by_its_bound_and_its_lock() -> None:
    good = check_chrony(chrony_says())
    assert (good.verdict, good.evidence["error_at_most_ns"]) == (Verdict.OK, 2100)
    assert check_chrony(chrony_says(dispersion_ns=10**8)).verdict is Verdict.WARN
    assert check_chrony(chrony_says("Not synchronised")).verdict is Verdict.FAIL
    assert check_chrony(Unreadable("506 Cannot talk to daemon")).verdict is Verdict.UNKNOWN


GOOD_INSTANCE = Sfptpd("ptp1", 12, 600, in_sync=True, disciplining=True, alarms=())


def test_an_alarm_of_sfptpd_is_a_failure_in_its_words() -> None:
    instances = (
        GOOD_INSTANCE,
        msgspec.structs.replace(GOOD_INSTANCE, alarms=("no-sync-pkts", "pps-no-signal")),
        msgspec.structs.replace(GOOD_INSTANCE, in_sync=False),
        Sfptpd("ptp4", None, None, None, None, ()),
    )
    checks = check_sfptpd(instances, ClockSettings())
    verdicts = [check.verdict for check in checks]
    assert verdicts == [Verdict.OK, Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN]
    assert "no-sync-pkts, pps-no-signal" in checks[1].summary


def test_nothing_that_keeps_time_is_not_applicable_and_a_daemon_without_answer_unknown() -> None:
    (nothing,) = judge(ClockState(), {}, {}, ClockSettings())
    assert nothing.verdict is Verdict.NOT_APPLICABLE
    silent = ClockState(ptp=(Silent(("/run/ptp4l",), "no answer within 0.5 s"),))
    (unknown,) = judge(silent, {}, {}, ClockSettings())
    assert (unknown.verdict, bool(unknown.remedy)) == (Verdict.UNKNOWN, True)


def all_states() -> Iterator[PtpClock]:
    for state in STATES:
        yield a_clock(state)


def test_every_check_that_is_not_ok_names_a_remedy_or_awaits_nothing() -> None:
    for clock in all_states():
        for seen in (GOOD, Seen(), msgspec.structs.replace(GOOD, silence_s=9)):
            for check in checks_of(clock, seen, ClockSettings()).values():
                good = check.verdict in (Verdict.OK, Verdict.NOT_APPLICABLE)
                assert good or check.remedy, check
