"""Programs that keep time: found in /proc, and read where they answer."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fieldtap_hardware.clock import ClockReading
from fieldtap_hardware.clock_checks import read_report
from fieldtap_hardware.clock_settings import read_settings
from fieldtap_hardware.clock_sources import (
    REQUEST_BYTES,
    STAMP,
    LeapSeconds,
    Phc,
    SystemOffset,
    parse_leap_seconds,
    parse_pulse,
    parse_system_offset,
    read_leap_seconds,
)
from fieldtap_hardware.clock_state import Readers
from fieldtap_hardware.programs import ask_program
from fieldtap_hardware.time_daemons import (
    Chrony,
    Daemon,
    Sfptpd,
    management_sockets,
    parse_chrony,
    parse_config,
    parse_metrics,
    read_chrony,
    read_daemons,
    read_sfptpd,
)
from fieldtap_hardware.verdicts import Check, Unreadable, Verdict
from hypothesis import given
from hypothesis import strategies as st

NS = 1_000_000_000
PATIENCE_S = 20

# Constructed after sfptpd_metrics.c of sfptpd 3.8; no sfptpd wrote it.
CONSTRUCTED_METRICS = b"""HTTP/1.1 200 OK\r
Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r
\r
# TYPE offset_seconds gauge
# UNIT offset_seconds seconds
offset_snapshot_seconds{sync="ptp1"} -0.000000012500
freq_adj_snapshot_ratios{sync="ptp1"} 0.000000001000
owd_snapshot_seconds{sync="ptp1"} 0.000000600000
alarmtxt{sync="ptp1",alarms="no-sync-pkts no-follow-ups"} 1
alarms{sync="ptp1"} 2
in_sync{sync="ptp1"} 0
is_disciplining{sync="ptp1"} 1
last_update_seconds{sync="ptp1"} 1795000000.000000001
lost_rt 0
offset_seconds{sync="ptp1"} -0.000000012500 1795000000.000000001
# EOF
"""
ALARMS = ("no-sync-pkts", "no-follow-ups")
CONSTRUCTED = Sfptpd("ptp1", -12, 600, in_sync=False, disciplining=True, alarms=ALARMS)


def eventually(condition: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


# --- processes and sockets ------------------------------------------------------------------------


def test_sockets_are_those_of_options_then_configuration_then_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIELDTAP_PTP_SOCKET", raising=False)
    config = tmp_path / "ptp4l.conf"
    config.write_text("# comment\n[global]\nuds_address /run/a\nuds_ro_address\t/run/aro\n")
    daemons = [
        Daemon(1, "ptp4l", ("--uds_address=/run/b", "-f", str(config)), here=True),
        Daemon(2, "ptp4l", ("-i", "eth2"), here=None),
        Daemon(3, "ptp4l", ("--uds_address", "/run/c"), here=False),
        Daemon(4, "phc2sys", ("-s", "eth2"), here=True),
    ]
    given, default = management_sockets(daemons)
    assert given == ("/run/aro", "/run/b")
    assert default[:2] == ("/var/run/ptp4lro", "/var/run/ptp4l")
    monkeypatch.setenv("FIELDTAP_PTP_SOCKET", "/x:/y")
    assert management_sockets(daemons) == [("/x",), ("/y",)]


@given(st.binary(max_size=300))
def test_any_configuration_is_read(raw: bytes) -> None:
    parse_config(raw)


@pytest.mark.skipif(shutil.which("phc2sys", path="/usr/sbin:/usr/bin") is None, reason="needs it")
def test_with_injected_readers_of_the_adapter_clock_phc2sys_started_and_stopped_changes_the_verdict(
    tmp_path: Path,
) -> None:
    """No clock here ticks, so the adapter's is an injected one, that the system clock follows.

    The phc2sys is real. It waits for a ptp4l that is not there, and so steers nothing.
    """
    followed = (Phc(0, "injected", ClockReading(0, 1000, 1000), SystemOffset(37 * NS + 90, 50)),)
    far = (Phc(0, "injected", ClockReading(0, 1000, 1000), SystemOffset(37 * NS + 10**7, 50)),)

    def ours() -> tuple[Daemon, ...]:
        return tuple(d for d in read_daemons() if d.program == "phc2sys" and d.pid in started)

    def system(phcs: tuple[Phc, ...]) -> list[Check]:
        readers = Readers(daemons=ours, phcs=lambda: phcs, pulses=lambda: ())
        return [c for c in read_report(0, readers).checks if c.id == "clock.system"]

    started = list[int]()
    assert system(followed) == []
    command = ["phc2sys", "-a", "-r", "-m", "-z", str(tmp_path / "no-ptp4l")]
    path = os.environ["PATH"] + ":/usr/sbin"
    with subprocess.Popen(
        command, env=os.environ | {"PATH": path}, stdout=subprocess.DEVNULL
    ) as phc2sys:
        try:
            started.append(phc2sys.pid)
            eventually(lambda: system(followed))
            (near,) = system(followed)
            assert (near.verdict, near.evidence["off_ns"]) == (Verdict.OK, ["90"])
            (apart,) = system(far)
            assert (apart.verdict, bool(apart.remedy)) == (Verdict.FAIL, True)
        finally:
            phc2sys.kill()
    assert system(followed) == []


# --- chrony ---------------------------------------------------------------------------------------


@pytest.fixture
def chronyd(tmp_path: Path) -> Iterator[Path]:
    """A real chronyd that may not touch the clock, with nobody to follow; its command socket."""
    program = shutil.which("chronyd", path="/usr/sbin:/usr/bin")
    if program is None or os.geteuid() != 0:
        pytest.skip("needs chronyd and root")
    folder = tmp_path / "chrony"
    folder.mkdir(mode=0o700)
    lines = [f"bindcmdaddress {folder}/sock", f"pidfile {folder}/pid", "port 0", "cmdport 0"]
    (folder / "conf").write_text("\n".join([*lines, "local stratum 9", "user root"]) + "\n")
    with subprocess.Popen(
        [program, "-x", "-d", "-f", str(folder / "conf")], stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually((folder / "sock").exists)
            yield folder / "sock"
        finally:
            process.kill()


def test_a_real_chronyd_tells_its_tracking(chronyd: Path) -> None:
    def ask() -> Chrony | Unreadable:
        return read_chrony(
            lambda command: ask_program([command[0], "-h", str(chronyd), *command[1:]])
        )

    eventually(lambda: not isinstance(ask(), Unreadable))
    found = ask()
    assert not isinstance(found, Unreadable)
    shown = ask_program(["chronyc", "-h", str(chronyd), "tracking"])
    assert isinstance(shown, bytes)
    rows = dict(line.split(" : ") for line in shown.decode().strip().split("\n") if " : " in line)
    rows = {key.strip(): value for key, value in rows.items()}
    assert (found.leap, str(found.stratum)) == (rows["Leap status"], rows["Stratum"])


@given(st.binary(max_size=300))
def test_any_tracking_is_read_or_not_understood(raw: bytes) -> None:
    parse_chrony(raw)


def test_tracking_that_is_cut_off_is_not_understood() -> None:
    whole = b"A29FC801,time.example,3,1795000000.1,0.000001500,-0.000000400,0.0001,-1.5,0.1,0.2,"
    whole += b"0.002,0.0005,64.5,Normal\n"
    found = parse_chrony(whole)
    assert found is not None
    assert (found.offset_ns, found.last_offset_ns, found.root_delay_ns) == (1500, -400, 2_000_000)
    assert parse_chrony(whole[:80]) is None
    assert parse_chrony(whole.replace(b"Normal", b"Invalid")) is None  # chronyc's word for others
    assert parse_chrony(whole.replace(b".000001500", b".0000x1500")) is None


# --- sfptpd ---------------------------------------------------------------------------------------


def test_constructed_metrics_of_sfptpd_come_over_its_socket(tmp_path: Path) -> None:
    path, requests = tmp_path / "metrics.sock", list[bytes]()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                requests.append(connection.recv(1000))
                for start in range(0, len(CONSTRUCTED_METRICS), 100):
                    connection.sendall(CONSTRUCTED_METRICS[start : start + 100])

        thread = threading.Thread(target=serve)
        thread.start()
        assert read_sfptpd(str(path)) == (CONSTRUCTED,)
        thread.join(5)
    assert requests[0].startswith(b"GET /peek/metrics HTTP/1.1\r\n")


def test_a_socket_without_sfptpd_is_unreadable(tmp_path: Path) -> None:
    assert isinstance(read_sfptpd(str(tmp_path / "none")), Unreadable)


@given(st.binary(max_size=600), st.integers(0, len(CONSTRUCTED_METRICS)))
def test_any_metrics_are_survived(noise: bytes, cut: int) -> None:
    parse_metrics(CONSTRUCTED_METRICS[:cut] + noise)


# --- the kernel -----------------------------------------------------------------------------------


def test_of_several_comparisons_the_tightest_counts() -> None:
    answer = bytearray(REQUEST_BYTES)
    for sample in range(10):
        wide = 100 if sample == 4 else 5000
        for place, ns in enumerate((1000, 1000 + wide // 2 + 7, 1000 + wide)):
            STAMP.pack_into(answer, 16 + (3 * sample + place) * STAMP.size, 10, ns, 0)
    assert parse_system_offset(bytes(answer)) == SystemOffset(7, 50)


@given(st.binary(min_size=REQUEST_BYTES, max_size=REQUEST_BYTES))
def test_any_comparison_of_clocks_is_survived(raw: bytes) -> None:
    parse_system_offset(raw)


@given(st.text(max_size=60))
def test_any_pulse_is_read(text: str) -> None:
    parse_pulse("pps0", None, text)


def test_a_pulse_has_a_sequence_and_a_time_unless_none_came() -> None:
    pulse = parse_pulse("pps0", "serial", "1795000000.000000123#42")
    assert (pulse.sequence, pulse.pulse_ns) == (42, 1_795_000_000_000_000_123)
    assert parse_pulse("pps0", "serial", "0.000000000#0").sequence is None


def test_the_list_of_leap_seconds_of_this_machine_says_37() -> None:
    leap = read_leap_seconds()
    if isinstance(leap, Unreadable):
        pytest.skip(leap.reason)
    assert leap.tai_utc_s >= 37


def test_a_leap_second_counts_from_its_day_on() -> None:
    text = "#@\t3991593600\n2272060800\t10\t# 1 Jan 1972\n3692217600 37 # 1 Jan 2017\n"
    assert parse_leap_seconds(text, 1_483_228_799) == LeapSeconds(10, 1_782_604_800)
    assert parse_leap_seconds(text, 1_483_228_800) == LeapSeconds(37, 1_782_604_800)


@given(st.text(max_size=300))
def test_any_list_of_leap_seconds_is_survived(text: str) -> None:
    parse_leap_seconds(text, 1_795_000_000)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('grandmaster = ["863c42.fffe.cb8adf"]\ngoal_ns = 100\n', None),
        ('grandmaster = ["863c42"]\n', "is no clock identity"),
        ("goal_ns = 0\n", "above 0"),
        ("goal = 5\n", "goal"),
        ("grandmaster = [\n", "clock.toml"),
        ("goal_ns = " + 5000 * "9", "digits"),
        ("goal_ns = " + 5000 * "[", "recursion"),
    ],
)
def test_settings_are_read_or_say_what_is_wrong(
    tmp_path: Path, text: str, problem: str | None
) -> None:
    path = tmp_path / "clock.toml"
    path.write_text(text)
    settings = read_settings(path)
    if problem is None:
        assert (settings.problem, settings.goal_ns) == (None, 100)
    else:
        assert problem in (settings.problem or "")
