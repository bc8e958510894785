"""The appliance passes nothing and sends nothing: what the checks say, and what they read.

Outputs of `bpctl_util` and files of /proc/net/bypass are constructed, from the sentences and words
in the sources of Silicom's program and driver; no bypass adapter was at hand.
"""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from fieldtap_hardware import ethtool, sending
from fieldtap_hardware.bypass import Duty, Relay, State, check_relay, read_relay
from fieldtap_hardware.explain import explain
from fieldtap_hardware.programs import Ask
from fieldtap_hardware.sending import Sent, check_lldp, check_sending, compare
from fieldtap_hardware.verdicts import Unreadable, Verdict
from hypothesis import given
from hypothesis import strategies as st
from made_ports import PORT
from msgspec.structs import replace

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
UNKNOWN, NOT_APPLICABLE = Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

BLOCKS = Relay(
    source="made",
    running=State.NORMAL,
    power_off=State.NORMAL,
    power_up=State.DISCONNECT,
    watchdog_ms=1000,
    expiry=State.DISCONNECT,
)


# --- sending --------------------------------------------------------------------------------------


def test_a_port_that_sends_while_it_is_watched_is_a_warning() -> None:
    assert check_sending(PORT, Sent(7, 0, 500)).verdict is OK
    assert check_sending(PORT, Sent(0, 0, 500)).summary == (
        "has sent nothing since its driver started"
    )
    sends = check_sending(PORT, Sent(9, 2, 500))
    assert (sends.verdict, sends.summary) == (WARN, "sent 2 frames within 0.5 s")
    assert check_sending(PORT, None).verdict is UNKNOWN


def test_a_counter_that_began_anew_counts_from_zero() -> None:
    assert compare(100, 3, 500) == Sent(3, 3, 500)
    assert compare(None, 3, 500) is None
    assert compare(3, None, 500) is None


def test_lldp_of_the_firmware_is_a_warning_whichever_way_its_flag_is_named() -> None:
    x710, e810 = replace(PORT, driver="i40e"), replace(PORT, driver="ice")
    for port, name, quiet in ((x710, "disable-fw-lldp", True), (e810, "fw-lldp-agent", False)):
        assert lldp_sent(port.driver, {name: not quiet}) is True
        assert lldp_sent(port.driver, {name: quiet}) is False
        assert lldp_sent(port.driver, {"other": True}) is None
        loud = check_lldp(port, sends=True)
        assert loud.verdict is WARN
        assert f"{name} {'on' if quiet else 'off'}" in str(loud.remedy)
        assert check_lldp(port, sends=False).verdict is OK
        assert check_lldp(port, sends=None).verdict is UNKNOWN
    assert check_lldp(PORT, sends=None).verdict is NOT_APPLICABLE


def lldp_sent(driver: str | None, flags: dict[str, bool]) -> bool | None:
    answers = private_flag_answers(flags)
    return sending.read_firmware_lldp(
        replace(PORT, driver=driver), lambda _, request: answers.get(request[:4])
    )


def private_flag_answers(flags: dict[str, bool]) -> dict[bytes, bytes]:
    """What a driver with these private flags answers, by command (<linux/ethtool.h>)."""
    info = bytearray(ethtool.GDRVINFO)
    struct.pack_into("=I", info, 176, len(flags))
    names = b"".join(name.encode().ljust(32, b"\0") for name in flags)
    bits = sum(value << at for at, value in enumerate(flags.values()))
    strings = struct.pack("=III", 0x1B, 2, len(flags)) + names
    values = struct.pack("=II", 0x27, bits)
    return {
        bytes(info[:4]): bytes(info),
        strings[:4]: strings.ljust(12 + 32 * 32, b"\0"),
        values[:4]: values,
    }


@given(st.binary(max_size=200), st.binary(max_size=1200), st.binary(max_size=12))
def test_garbled_answers_about_private_flags_raise_nothing(
    info: bytes, names: bytes, values: bytes
) -> None:
    answers = {0x03: info, 0x1B: names, 0x27: values}
    found = sending.read_private_flags(
        "eth0", lambda _, request: answers[int.from_bytes(request[:4], sys.byteorder)]
    )
    assert all(isinstance(value, bool) for value in found.values())


SEND_AND_READ = """
import msgspec, socket, sys
from fieldtap_hardware.ports import read_ports
from fieldtap_hardware.sending import SendMeter
meter = SendMeter([port for port in read_ports() if port.name == "fta"])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("fta", 0))
for _ in range(int(sys.argv[1])):
    raw.send(bytes(60))
sys.stdout.buffer.write(msgspec.json.encode(meter.read()))
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")
@pytest.mark.skipif(shutil.which("ip") is None, reason="needs the program ip (iproute2)")
def test_frames_sent_on_a_real_port_are_counted() -> None:
    name = f"ftsend-{os.getpid()}"
    enter = ("ip", "netns", "exec", name)
    run("ip", "netns", "add", name)
    try:
        run(*enter, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        run(*enter, "ip", "link", "add", "fta", "type", "veth", "peer", "name", "ftb")
        for port in ("fta", "ftb"):
            run(*enter, "ip", "link", "set", "dev", port, "up")
        rises = []
        for frames in (0, 3):
            answer = run(*enter, sys.executable, "-c", SEND_AND_READ, str(frames))
            sent = msgspec.json.decode(answer, type=dict[str, Sent])["fta"]
            rises.append((sent.total_frames, sent.rise_frames))
    finally:
        run("ip", "netns", "del", name)
    assert rises == [(0, 0), (3, 3)]


def run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


# --- bypass ---------------------------------------------------------------------------------------


def verdicts(relay: Relay, duty: Duty = Duty.BLOCK) -> dict[str, Verdict]:
    return {check.id: check.verdict for check in check_relay(PORT, relay, duty)}


def test_a_link_that_must_block_blocks_in_every_state() -> None:
    assert set(verdicts(BLOCKS).values()) == {OK}
    assert list(verdicts(BLOCKS)) == [
        "port.bypass_running",
        "port.bypass_power_off",
        "port.bypass_power_up",
        "port.bypass_watchdog",
    ]


@pytest.mark.parametrize(
    ("field", "identifier"),
    [
        ("running", "port.bypass_running"),
        ("power_off", "port.bypass_power_off"),
        ("power_up", "port.bypass_power_up"),
        ("expiry", "port.bypass_watchdog"),
    ],
)
@pytest.mark.parametrize("state", [State.BYPASS, State.TAP])
def test_a_state_that_passes_fails_alone_and_names_the_command(
    field: str, identifier: str, state: State
) -> None:
    relay = replace(BLOCKS, **{field: state})
    found = verdicts(relay)
    assert found.pop(identifier) is FAIL
    assert set(found.values()) == {OK}
    (check,) = (one for one in check_relay(PORT, relay) if one.id == identifier)
    assert "bpctl_util eth0 set_" in str(check.remedy)
    assert "not physically tested" in check.summary


def test_where_the_link_must_carry_on_the_same_states_are_judged_the_other_way() -> None:
    assert set(verdicts(BLOCKS, Duty.CARRY).values()) == {FAIL}


def test_a_watchdog_that_is_not_told_of_leaves_a_hang_unknown_unless_it_makes_no_difference() -> (
    None
):
    asleep = replace(BLOCKS, watchdog_ms=None, running=State.NORMAL)
    carries = check_relay(PORT, replace(asleep, expiry=State.BYPASS), Duty.CARRY)[-1]
    blocks = check_relay(PORT, replace(asleep, expiry=State.DISCONNECT), Duty.BLOCK)[-1]
    assert (carries.verdict, blocks.verdict) == (Verdict.UNKNOWN, Verdict.OK)


def test_a_watchdog_that_is_off_leaves_the_relay_as_it_is() -> None:
    off = replace(BLOCKS, running=State.BYPASS, watchdog_ms=0, expiry=State.DISCONNECT)
    assert verdicts(off)["port.bypass_watchdog"] is FAIL


def test_a_state_that_is_not_told_is_unknown() -> None:
    assert verdicts(replace(BLOCKS, power_off=None))["port.bypass_power_off"] is UNKNOWN


def test_an_adapter_without_a_known_relay_is_not_judged(tmp_path: Path) -> None:
    assert read_relay(PORT, None, tmp_path, tmp_path) is None
    (check,) = check_relay(PORT, None)
    assert (check.id, check.verdict) == ("port.bypass", NOT_APPLICABLE)


def proc_entry(folder: Path, port: str, **files: str) -> None:
    entry = folder / f"bypass_{port}"
    entry.mkdir(parents=True)
    for name, text in files.items():
        (entry / name).write_text(text + "\n")


def test_settings_are_read_from_proc(tmp_path: Path) -> None:
    proc_entry(
        tmp_path,
        "eth0",
        bypass="off",
        bypass_slave="eth1",
        bypass_pwoff="on",
        bypass_pwup="off",
        disc_pwup="on",
        bypass_wd="1600",
        wd_exp_mode="disc",
    )
    relay = read_relay(PORT, None, tmp_path, tmp_path)
    assert relay == Relay(
        source=str(tmp_path / "bypass_eth0"),
        running=State.NORMAL,
        power_off=State.BYPASS,
        power_up=State.DISCONNECT,
        watchdog_ms=1600,
        expiry=State.DISCONNECT,
    )
    second = read_relay(replace(PORT, name="eth1"), None, tmp_path, tmp_path)
    (check,) = check_relay(PORT, second)
    assert check.summary == "is the second port of a bypass pair, judged by the first"


def test_words_of_proc_that_mean_nothing_are_not_known(tmp_path: Path) -> None:
    proc_entry(tmp_path, "eth0", bypass="fail", bypass_pwoff="-1", bypass_wd="unknown")
    relay = read_relay(PORT, None, tmp_path, tmp_path)
    assert isinstance(relay, Relay)
    assert (relay.running, relay.power_off, relay.watchdog_ms) == (None, None, None)


ANSWERS = {
    "get_bypass": "The interface is in the non-Bypass mode.",
    "get_tap": "The interface doesn't support TAP.",
    "get_disc": "The interface is in the non-Disconnect mode.",
    "get_bypass_pwoff": "The interface is in the Bypass mode at power off state.",
    "get_bypass_pwup": "The interface is in the non-Bypass mode at power up state.",
    "get_disc_pwup": "The interface is in the Disconnect mode at power up state.",
    "get_bypass_wd": "WDT is enabled with 1600 ms timeout value.",
    "get_wd_exp_mode": "When WDT timeout occurs, the interface will be in the Bypass mode.",
}


def bpctl(answers: dict[str, str]) -> Ask:
    def ask(command: Sequence[str]) -> bytes | Unreadable:
        assert command[:2] == ("bpctl_util", "eth0")
        return f"{answers[command[2]]}\n".encode()

    return ask


def silicom_port(tmp_path: Path) -> Path:
    device = tmp_path / "eth0" / "device"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x8086\n")
    (device / "subsystem_vendor").write_text("0x1374\n")
    return tmp_path


def test_settings_are_read_from_bpctl_util(tmp_path: Path) -> None:
    relay = read_relay(PORT, bpctl(ANSWERS), tmp_path / "none", silicom_port(tmp_path))
    assert relay == Relay(
        source="bpctl_util",
        running=State.NORMAL,
        power_off=State.BYPASS,
        power_up=State.DISCONNECT,
        watchdog_ms=1600,
        expiry=State.BYPASS,
    )


def test_a_board_by_silicom_is_unknown_without_its_program(tmp_path: Path) -> None:
    found = read_relay(
        PORT, lambda _: Unreadable("bpctl_util is not installed"), tmp_path, silicom_port(tmp_path)
    )
    (check,) = check_relay(PORT, found)
    assert (check.id, check.verdict) == ("port.bypass", UNKNOWN)
    assert "bpctl_util is not installed" in check.summary


def test_the_second_port_of_a_pair_is_left_to_the_first(tmp_path: Path) -> None:
    slave = "The interface is a slave interface or doesn't support Bypass."
    answers = dict.fromkeys(ANSWERS, slave)
    relay = read_relay(PORT, bpctl(answers), tmp_path / "none", silicom_port(tmp_path))
    assert isinstance(relay, Relay)
    assert relay.slave


def test_every_sentence_of_bpctl_util_gives_its_value() -> None:
    sentences = [text for text in ANSWERS.values() if "support" not in text]
    (item,) = explain("bpctl", ("\n".join(sentences) + "\n").encode()).items
    assert item.values == {
        "now_bypass": False,
        "now_disconnect": False,
        "power_off_bypass": True,
        "power_up_bypass": False,
        "power_up_disconnect": True,
        "watchdog_ms": 1600,
        "watchdog_expiry": "Bypass",
    }


def test_a_sentence_in_other_words_is_doubted() -> None:
    explanation = explain("bpctl", b"The interface is in the bypass-ish mode.\n")
    assert explanation.verdict is UNKNOWN


@given(st.dictionaries(st.sampled_from(sorted(ANSWERS)), st.text(max_size=80)))
def test_whatever_bpctl_util_says_no_state_is_made_up(said: dict[str, str]) -> None:
    known = set(ANSWERS.values())
    answers = {key: text for key, text in said.items() if text not in known}
    values: dict[str, object] = {}
    for text in answers.values():
        for item in explain("bpctl", text.encode("utf-8", "replace")).items:
            values |= item.values
    assert not any(key.endswith("_bypass") for key in values)
