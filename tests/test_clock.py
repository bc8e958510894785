"""`fieldtap clock` beside real ptp4l masters and slaves, and a real chronyd."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldlab import END_TIMEOUT_S, Json, ft_capture, program, wait_until
from ptplab import (
    SYNC_INTERVAL_S,
    Clock,
    PtpLab,
    check_of,
    clock_report,
    ptp_lab,
    watching,
)

WITHIN_S = 2.0  # of ptp4l's own change of state
LEAST_THAT_MUST_SET = 4  # linuxptp 3 goes on where the clock cannot be set


@pytest.fixture(scope="module")
def ptp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PtpLab]:
    with ptp_lab(tmp_path_factory.mktemp("ptp")) as lab:
        yield lab


@pytest.fixture(scope="module")
def master(ptp: PtpLab) -> Iterator[Clock]:
    with ptp.master() as clock:
        wait_until("a master", lambda: "MASTER" in [state for _, state in clock.changes()])
        yield clock


@pytest.fixture(scope="module")
def slave(ptp: PtpLab, master: Clock) -> Iterator[Clock]:
    with ptp.clock("slave", "-s") as clock:
        wait_for_lock(clock)
        yield clock


def wait_for_lock(clock: Clock) -> None:
    """Wait until it is a slave, or skip where it never will be: no clock here may be set."""
    if int(clock.end.run("ptp4l", "-v").stdout.partition(".")[0]) >= LEAST_THAT_MUST_SET:
        pytest.skip("this linuxptp is locked to no master before it could set its clock")
    wait_until("a lock", lambda: [state for _, state in clock.changes()][-1:] == ["SLAVE"])


def pinned(folder: Path, *identities: str) -> str:
    path = folder / "clock.toml"
    path.write_text(f"grandmaster = {list(identities)}\n")
    return str(path)


def set_grandmaster(clock: Clock, utc_offset_s: int, *, valid: bool = True) -> None:
    """Have a master announce this offset, class 6 and an accuracy of 100 ns."""
    clock.ask(
        "SET GRANDMASTER_SETTINGS_NP clockClass 6 clockAccuracy 0x21 "
        f"offsetScaledLogVariance 0x4e5d currentUtcOffset {utc_offset_s} leap61 0 leap59 0 "
        f"currentUtcOffsetValid {int(valid)} ptpTimescale 1 timeTraceable 1 "
        "frequencyTraceable 1 timeSource 0x20"
    )


def test_each_state_comes_within_two_seconds_of_ptp4ls_own_change(
    ptp: PtpLab, master: Clock
) -> None:
    with watching(ptp.ends["slave"]) as watcher, ptp.clock("slave", "-s") as clock:
        wait_for_lock(clock)
        locked_at_s, _ = clock.changes()[-1]
        watcher.wait_for("ptp", lambda check: bool(check["evidence"].get("state") == "SLAVE"))
        told = [(at, check["evidence"].get("state")) for at, check in watcher.of("ptp")]
        changes = clock.changes()
        assert [state for _, state in changes] == ["LISTENING", "UNCALIBRATED", "SLAVE"]
        for changed_s, state in changes[1:]:
            (at, *_) = (at for at, said in told if said == state)
            assert at - changed_s < WITHIN_S
        offsets = [check for at, check in watcher.of("ptp") if at >= locked_at_s]
        assert isinstance(offsets[0]["evidence"]["offset_ns"], int)
        before = [check for at, check in watcher.of("offset") if at < locked_at_s]
        assert {check["verdict"] for check in before} <= {"unknown"}


def test_offset_delay_and_grandmaster_are_those_that_pmc_prints(
    slave: Clock, master: Clock
) -> None:
    def agrees() -> bool:
        report = clock_report(slave.end)
        printed = slave.value("TIME_STATUS_NP", "master_offset")
        return printed == str(check_of(report, "ptp")["evidence"]["offset_ns"])

    wait_until("the offset of one Sync, read by both", agrees)
    report = clock_report(slave.end)
    (clock,) = report["state"]["ptp"]
    assert clock["default"]["identity"] == slave.identity
    assert clock["parent"]["grandmaster"] == master.identity
    assert clock["ports"][0]["properties"]["interface"] == slave.end.port
    assert check_of(report, "ptp")["verdict"] == "ok"
    assert check_of(report, "stamping")["verdict"] == "warn"
    assert check_of(report, "sync")["verdict"] == "ok"
    assert "estimate" in check_of(report, "offset")["evidence"]["basis"]


def test_the_checks_of_the_machine_hold_those_of_its_clock(slave: Clock, tmp_path: Path) -> None:
    command = (program("fieldtap"), "check", slave.end.port, "--dir", tmp_path, "--json")
    report = json.loads(slave.end.run(*command, check=False).stdout)
    subjects = {check["id"]: check["subject"] for check in report["checks"]}
    assert subjects["clock.ptp"] == subjects["clock.offset"] == slave.end.port
    assert subjects["port.link"] == slave.end.port


def test_the_management_socket_is_left_as_it_was(slave: Clock) -> None:
    with watching(slave.end) as watcher:
        pid = watcher.process.pid
        watcher.wait_for("sync", lambda check: bool(check["verdict"] == "ok"))
    left = [*Path("/run").glob("fieldtap-ptp-*"), *Path("/tmp").glob("fieldtap-ptp-*")]
    assert [path for path in left if path.name.startswith(f"fieldtap-ptp-{pid}-")] == []


def silence_told(slave: Clock, master: Clock) -> float:
    """Stop a master; return when its silence was told, in seconds after that and after its Sync.

    The greater of the two counts. ptp4l must not have given the master up by then.
    """
    with watching(slave.end) as watcher:
        start_s = watcher.wait_for("sync", lambda check: bool(check["verdict"] == "ok"))
        master.process.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        try:
            at_s = watcher.wait_for(
                "sync", lambda check: bool(check["verdict"] == "fail"), stopped_s
            )
            assert slave.value("PORT_DATA_SET", "portState") == "SLAVE"
        finally:
            master.process.send_signal(signal.SIGCONT)
        (silent,) = (check for at, check in watcher.of("sync") if at == at_s)
        assert "silent" in silent["summary"]
        assert silent["remedy"]
        assert {c["verdict"] for at, c in watcher.of("sync") if start_s <= at < at_s} == {"ok"}
        watcher.wait_for("sync", lambda check: bool(check["verdict"] == "ok"), at_s)
    wait_for_lock(slave)
    return max(at_s - stopped_s, float(silent["evidence"]["silence_s"]))


def test_a_silent_master_is_told_within_three_sync_intervals_while_ptp4l_still_follows(
    slave: Clock, master: Clock
) -> None:
    """Of three goes one counts: this machine may do something else just then."""
    goes = list[float]()
    while not goes or (min(goes) > 3 * SYNC_INTERVAL_S and len(goes) < 3):
        goes.append(silence_told(slave, master))
    assert min(goes) <= 3 * SYNC_INTERVAL_S, goes


def test_a_wrong_tai_offset_fails_until_it_is_right(slave: Clock, master: Clock) -> None:
    def utc() -> Json:
        return check_of(clock_report(slave.end), "utc")

    set_grandmaster(master, 36)
    wait_until("the wrong offset", lambda: utc()["verdict"] == "fail")
    wrong = utc()
    assert (wrong["evidence"]["utc_offset_s"], wrong["evidence"]["expected_s"]) == (36, 37)
    assert "37 s" in wrong["remedy"]
    set_grandmaster(master, 37, valid=False)
    wait_until("the unsure offset", lambda: utc()["verdict"] == "warn")
    set_grandmaster(master, 37)
    wait_until("the right offset", lambda: "not sure" not in utc()["summary"])
    right = utc()
    expired = right["evidence"]["list_expires_s"] <= time.time()  # then nobody can be sure
    assert right["verdict"] == ("warn" if expired else "ok")
    assert ("expired" in right["summary"]) == expired
    assert check_of(clock_report(slave.end), "quality")["verdict"] == "ok"


def test_a_second_grandmaster_that_takes_over_warns_and_fails_where_the_first_is_pinned(
    ptp: PtpLab, slave: Clock, master: Clock, tmp_path: Path
) -> None:
    pin = {"FIELDTAP_CLOCK_SETTINGS": pinned(tmp_path, master.identity)}
    assert check_of(clock_report(slave.end, **pin), "grandmaster")["verdict"] == "ok"
    with watching(slave.end) as free, watching(slave.end, **pin) as strict:
        free.wait_for("grandmaster", lambda check: "nobody has pinned" in check["summary"])
        with ptp.master("two", 10) as second:
            wait_until("the second master's socket", second.socket.exists)
            both = (master.identity, second.identity)
            free.wait_for(
                "grandmaster",
                lambda check: bool(
                    check["verdict"] == "warn"
                    and "changed" in check["summary"]
                    and all(identity in check["summary"] for identity in both)
                ),
            )
            strict.wait_for(
                "grandmaster",
                lambda check: bool(
                    check["verdict"] == "fail"
                    and all(identity in check["summary"] for identity in both)
                ),
            )
        back = strict.wait_for
        back("grandmaster", lambda check: bool(check["verdict"] == "ok"), time.monotonic())
    wait_for_lock(slave)


def test_a_second_master_that_does_not_win_shows_in_the_count_of_announcements(
    ptp: PtpLab, slave: Clock
) -> None:
    options = ("--clockClass", "6", "--priority1", "200", "--masterOnly", "1")
    with ptp.clock("two", *options) as second, watching(slave.end) as watcher:
        wait_until("a second master", lambda: "MASTER" in [s for _, s in second.changes()])
        watcher.wait_for("grandmaster", lambda check: "a second master" in check["summary"])


def test_a_receipt_tells_the_state_offsets_and_grandmaster_of_the_capture(
    slave: Clock, master: Clock, tmp_path: Path
) -> None:
    wait_for_lock(slave)
    words = [f"FIELDTAP_PTP_SOCKET={slave.socket}", f"FIELDTAP_KEY_DIR={tmp_path / 'keys'}"]
    command = ft_capture("-i", slave.end.port, "-w", f"{tmp_path / 'session'}/", "-a", "duration:4")
    slave.end.run("env", *words, *command)
    receipt = json.loads((tmp_path / "session/receipt.json").read_text())
    history = receipt["ptp"]
    assert history["socket"] == str(slave.socket)
    assert 0 < history["answered"] == sum(history["states"].values()) <= history["asked"]
    assert 0 < history["offset_samples"] == history["states"]["SLAVE"]
    assert history["offset_min_ns"] <= history["offset_max_ns"]
    identities = {history["grandmaster_first"], history["grandmaster_last"]}
    assert (identities, history["grandmaster_changes"]) == ({master.identity}, 0)


def test_a_ptp4l_that_is_stopped_or_gone_is_unknown_never_ok(ptp: PtpLab, master: Clock) -> None:
    with ptp.clock("two", "-s") as clock:
        wait_until("its socket", clock.socket.exists)
        named = {"FIELDTAP_PTP_SOCKET": str(clock.socket)}
        clock.process.send_signal(signal.SIGSTOP)
        stopped = check_of(clock_report(clock.end), "ptp")
        assert (stopped["verdict"], "no answer" in stopped["summary"]) == ("unknown", True)
        clock.process.kill()  # its socket's file stays
        clock.process.wait(END_TIMEOUT_S)
        gone = check_of(clock_report(clock.end, **named), "ptp")
        assert (gone["verdict"], "Connection refused" in gone["summary"]) == ("unknown", True)
        assert gone["remedy"]
        none = check_of(clock_report(clock.end), "ptp")
        assert none["verdict"] in ("not_applicable", "unknown")
