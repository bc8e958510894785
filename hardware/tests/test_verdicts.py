"""What each check says of values made for the purpose; no machine is asked."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from fieldtap_hardware.bandwidth import Tunnel, Way, check_pcie
from fieldtap_hardware.budget import Basis, Ceiling
from fieldtap_hardware.checks import (
    check_link,
    check_link_history,
    check_port,
    check_speed,
    run_checks,
)
from fieldtap_hardware.clock import ClockReading, check_timestamps, read_clock
from fieldtap_hardware.engine import Program, check_program
from fieldtap_hardware.ethtool import Timestamping
from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.ports import Port, Stacked
from fieldtap_hardware.silence import check_silence
from fieldtap_hardware.storage import Storage, check_storage, pcapng_bytes_per_second
from fieldtap_hardware.verdicts import ORDER, Unreadable, Verdict, worst
from fieldtap_hardware.words import duration_words, rate_words, size_words
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
UNKNOWN, NOT_APPLICABLE = Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

ADAPTER = PciFunction(
    address="0000:01:00.0",
    device_id="1924:0903",
    link_gtps=8.0,
    link_width=8,
    max_link_gtps=8.0,
    max_link_width=8,
    payload_bytes=128,
    removable=False,
)
ROOT_PORT = replace(ADAPTER, address="0000:00:1c.0", device_id="8086:a110")
STAMPS_EVERY_FRAME = Timestamping(
    phc_index=0,
    adapter_rx=True,
    adapter_rx_all=True,
    adapter_tx=True,
    host_rx=True,
    host_tx=True,
)
PORT = Port(
    name="eth0",
    index=4,
    virtual=False,
    model=None,
    driver="sfc",
    driver_version=None,
    firmware=None,
    bus="pci",
    bus_address="0000:01:00.0",
    pci=(ADAPTER, ROOT_PORT),
    numa_node=None,
    mac="02:00:00:00:00:01",
    mtu_bytes=1500,
    speed_bps=10_000_000_000,
    up=True,
    carrier=True,
    rx_queues=1,
    tx_queues=1,
    timestamping=STAMPS_EVERY_FRAME,
    master=None,
    stacked=(),
    addresses=(),
    default_route=False,
    forwarding=False,
    ipv6_autoconfigures=False,
    carrier_ups=1,
    carrier_downs=0,
)
MOVES = ClockReading(phc_index=0, advanced_ns=20_000_100, elapsed_ns=20_000_000)
VETH = replace(PORT, name="veth0", virtual=True, bus=None, pci=(), timestamping=None)


# --- the worst of them ----------------------------------------------------------------------------


def test_unknown_is_worse_than_a_warning_and_only_fail_is_worse_than_unknown() -> None:
    assert ORDER == (NOT_APPLICABLE, OK, WARN, UNKNOWN, FAIL)


@given(st.lists(st.sampled_from(Verdict), min_size=1))
def test_one_unknown_is_enough_not_to_be_ok(verdicts: list[Verdict]) -> None:
    assert worst([*verdicts, UNKNOWN]) in (UNKNOWN, FAIL)


def test_nothing_checked_is_unknown() -> None:
    assert worst([]) is UNKNOWN


def test_a_good_port_passes_every_check() -> None:
    assert {check.verdict for check in check_port(PORT, [PORT], {0: MOVES})} == {OK}


def test_a_run_carries_its_schema_and_the_worst_verdict(tmp_path: Path) -> None:
    report = run_checks([replace(VETH, up=False, carrier=None)], tmp_path)
    assert report.schema == "fieldtap.check/1"
    assert report.verdict is FAIL


# --- link and speed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("up", "carrier", "verdict"),
    [(True, True, OK), (True, False, FAIL), (False, None, FAIL), (True, None, UNKNOWN)],
)
def test_a_link_needs_the_port_up_and_a_carrier(
    *, up: bool, carrier: bool | None, verdict: Verdict
) -> None:
    assert check_link(replace(PORT, up=up, carrier=carrier)).verdict is verdict


def test_a_speed_that_is_not_known_is_unknown_with_and_without_a_link() -> None:
    assert check_speed(PORT).verdict is OK
    assert check_speed(replace(PORT, speed_bps=None)).verdict is UNKNOWN
    assert check_speed(replace(PORT, speed_bps=None, up=False)).verdict is UNKNOWN


def test_a_link_that_was_lost_many_times_is_a_warning() -> None:
    assert check_link_history(PORT).verdict is OK
    flapping = check_link_history(replace(PORT, carrier_downs=11))
    assert flapping.verdict is WARN
    assert flapping.remedy is not None
    assert check_link_history(replace(PORT, carrier_downs=None)).verdict is UNKNOWN


# --- timestamps -----------------------------------------------------------------------------------


def test_an_adapter_is_believed_only_once_its_clock_was_seen_to_move() -> None:
    stands_still = replace(MOVES, advanced_ns=0)
    assert check_timestamps(PORT, {0: MOVES}).verdict is OK
    assert check_timestamps(PORT, {0: stands_still}).verdict is FAIL
    assert check_timestamps(PORT, {0: Unreadable("no permission")}).verdict is UNKNOWN
    assert check_timestamps(PORT, {}).verdict is UNKNOWN


def test_a_clock_that_is_not_there_is_unreadable_and_says_which() -> None:
    reading = read_clock(999_999)
    assert isinstance(reading, Unreadable)
    assert reading.reason.startswith("/dev/ptp999999: ")


def test_stamps_for_ptp_alone_or_by_the_host_are_a_warning_on_a_real_port() -> None:
    ptp_only = replace(STAMPS_EVERY_FRAME, adapter_rx_all=False)
    host_only = replace(ptp_only, adapter_rx=False, phc_index=None)
    for stamping in (ptp_only, host_only):
        port = replace(PORT, timestamping=stamping)
        assert check_timestamps(port, {0: MOVES}).verdict is WARN
        assert check_timestamps(replace(port, virtual=True), {}).verdict is NOT_APPLICABLE


def test_a_driver_that_does_not_answer_leaves_stamps_unknown() -> None:
    assert check_timestamps(replace(PORT, timestamping=None), {}).verdict is UNKNOWN


# --- PCI Express ----------------------------------------------------------------------------------


def ports_of_one_adapter(count: int, function: PciFunction) -> list[Port]:
    return [
        replace(
            PORT,
            name=f"eth{number}",
            pci=(replace(function, address=f"0000:01:00.{number}"), ROOT_PORT),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("ports", "gtps", "width", "verdict"),
    [
        (1, 2.5, 4, FAIL),
        (1, 5.0, 4, WARN),
        (1, 8.0, 4, OK),
        (2, 8.0, 4, WARN),
        (2, 8.0, 8, OK),
        (4, 8.0, 8, WARN),
        (4, 8.0, 4, FAIL),
    ],
)
def test_ports_of_one_adapter_share_its_link(
    ports: int, gtps: float, width: int, verdict: Verdict
) -> None:
    together = ports_of_one_adapter(ports, replace(ADAPTER, link_gtps=gtps, link_width=width))
    assert {check_pcie(port, together).verdict for port in together} == {verdict}


def test_a_narrow_link_further_up_decides() -> None:
    narrow = replace(ROOT_PORT, link_gtps=2.5, link_width=1)
    check = check_pcie(replace(PORT, pci=(ADAPTER, narrow)), [PORT])
    assert check.verdict is FAIL
    assert check.evidence["limiting_hop_1518_byte_frames"] == "0000:00:1c.0"


def test_a_port_that_shares_a_link_and_has_no_speed_yet_is_told_as_not_weighed() -> None:
    dark = replace(PORT, name="eth1", speed_bps=None)
    check = check_pcie(PORT, [PORT, dark])
    assert check.verdict is check_pcie(PORT, [PORT]).verdict is OK
    assert "without eth1, whose speed is not known" in check.summary
    assert check_pcie(dark, [PORT, dark]).verdict is UNKNOWN


def test_ports_behind_different_root_ports_do_not_share() -> None:
    others = [
        replace(
            PORT,
            name=f"eth{number}",
            pci=(
                replace(ADAPTER, address=f"0000:0{number}:00.0", link_width=4),
                replace(ROOT_PORT, address=f"0000:00:1c.{number}", link_width=4),
            ),
        )
        for number in range(1, 5)
    ]
    assert {check_pcie(port, others).verdict for port in others} == {OK}


@pytest.mark.parametrize(
    "bridge",
    [replace(ROOT_PORT, removable=True), replace(ROOT_PORT, device_id="8086:15d3")],
)
@pytest.mark.parametrize(("gtps", "width"), [(2.5, 1), (16.0, 16)])
def test_behind_thunderbolt_no_link_figure_makes_a_verdict(
    bridge: PciFunction, gtps: float, width: int
) -> None:
    path = (
        replace(ADAPTER, link_gtps=gtps, link_width=width),
        replace(bridge, link_gtps=gtps, link_width=width),
    )
    assert check_pcie(replace(PORT, pci=path), [PORT]).verdict is UNKNOWN


# Worked by hand. 10 Gb/s in 64-byte frames are 14,880,952 of 60 + 24 + 40.75 bytes, 14.85 Gb/s; in
# 1518-byte frames 812,744 of 1514 + 12 * 24 + 40.75, 11.98 Gb/s with payloads of 128 bytes, and
# 1514 + 6 * 24 + 40.75, 11.05 Gb/s with 256. 8 GT/s x4 are 8 * 4 * 128/130 * 0.9007 = 28.38 Gb/s.


def bandwidth(
    count: int, payload_bytes: int, gtps: float, width: int, generation: int | None = None
) -> tuple[Verdict, object, object]:
    """The verdict on ports of one adapter, and what limits them in 1518 and in 64-byte frames."""
    function = replace(ADAPTER, link_gtps=gtps, link_width=width)
    path: tuple[PciFunction, ...] = (function, ROOT_PORT)
    way = Way()
    if generation is not None:
        path = (*path, replace(ADAPTER, address="0000:00:07.0", link_gtps=2.5, removable=True))
        tunnel = Tunnel("0-1", "enclosure", generation)
        way = Way(tunnels={f"eth{number}": tunnel for number in range(count)})
    path = tuple(replace(one, payload_bytes=payload_bytes) for one in path)
    together = [replace(PORT, name=f"eth{number}", pci=path) for number in range(count)]
    checks = [check_pcie(port, together, way) for port in together]
    assert len({check.verdict for check in checks}) == 1
    keys = ("limiting_hop_1518_byte_frames", "limiting_hop_64_byte_frames")
    large, small = (checks[0].evidence[key] for key in keys)
    return checks[0].verdict, large, small


def test_doubling_the_payload_size_moves_the_verdict() -> None:
    assert bandwidth(5, 128, 8.0, 8)[0] is FAIL  # 59.9 of 56.75 Gb/s
    assert bandwidth(5, 256, 8.0, 8)[0] is WARN  # 55.2 of 58.06 Gb/s


def test_halving_the_width_moves_the_verdict() -> None:
    assert bandwidth(2, 128, 8.0, 8)[0] is OK  # 29.7 of 56.75, 52 %
    assert bandwidth(2, 128, 8.0, 4)[0] is WARN  # 29.7 of 28.38, but 23.96 in large frames
    assert bandwidth(2, 128, 8.0, 2)[0] is FAIL  # 23.96 of 14.19


def test_a_tunnel_on_the_way_moves_verdict_and_limiting_hop() -> None:
    assert bandwidth(2, 128, 8.0, 8) == (OK, "0000:01:00", "0000:01:00")
    # 20.7 Gb/s of payload are 24.58 Gb/s with the headers of 128-byte payloads: 23.96 is 97 %.
    tunnel = "Thunderbolt 3 tunnel 0-1"
    assert bandwidth(2, 128, 8.0, 8, generation=3) == (WARN, tunnel, tunnel)
    assert bandwidth(1, 128, 8.0, 8, generation=3)[0] is OK  # 14.85 of 24.58, 60 %
    # Thunderbolt 1: 7.3 Gb/s of payload are 8.67 Gb/s, below 11.98. Thunderbolt 2: 13.3 Gb/s.
    assert bandwidth(1, 128, 8.0, 8, generation=1)[0] is FAIL
    assert bandwidth(1, 128, 8.0, 8, generation=2)[0] is WARN
    # The slot in the enclosure may be the narrower one: 5 GT/s x4 are 13.85 Gb/s.
    assert bandwidth(1, 128, 5.0, 4, generation=3) == (WARN, "0000:01:00", "0000:01:00")


def test_what_was_measured_replaces_what_was_published_or_is_not_known() -> None:
    enclosure = replace(ADAPTER, address="0000:00:07.0", removable=True)
    port = replace(PORT, pci=(*PORT.pci, enclosure))
    measured = {"tunnel at 0000:00:07.0": Ceiling(40e9, Basis.MEASURED, "18 Gb/s looped back")}
    assert check_pcie(port, [port]).verdict is UNKNOWN
    check = check_pcie(port, [port], Way(measured=measured))
    assert check.verdict is OK
    assert "carries 40 Gb/s measured (18 Gb/s looped back)" in str(check.evidence["hops"])


def test_a_known_hop_that_is_too_narrow_fails_beside_an_unknown_one() -> None:
    enclosure = replace(ADAPTER, address="0000:00:07.0", removable=True)
    narrow = replace(ADAPTER, link_gtps=5.0, link_width=1)
    port = replace(PORT, pci=(narrow, enclosure))
    assert check_pcie(port, [port]).verdict is FAIL


def test_a_link_of_unknown_figures_or_load_is_unknown_and_without_a_link_there_is_none() -> None:
    silent = replace(ADAPTER, link_gtps=None, link_width=None)
    assert check_pcie(replace(PORT, pci=(silent, ROOT_PORT)), [PORT]).verdict is UNKNOWN
    assert check_pcie(replace(PORT, pci=(ADAPTER, silent)), [PORT]).verdict is UNKNOWN
    assert check_pcie(replace(PORT, pci=(silent,)), [PORT]).verdict is NOT_APPLICABLE
    assert check_pcie(replace(PORT, speed_bps=None), [PORT]).verdict is UNKNOWN
    assert check_pcie(replace(PORT, bus="virtio", pci=(silent,)), []).verdict is NOT_APPLICABLE
    assert check_pcie(VETH, [VETH]).verdict is NOT_APPLICABLE
    assert check_pcie(replace(PORT, bus="usb", pci=()), []).verdict is NOT_APPLICABLE


# --- silence --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, OK),
        ({"forwarding": True}, OK),
        ({"master": "br0", "stacked": (Stacked("br0", "bridge"),)}, FAIL),
        ({"master": "ovs-system", "stacked": (Stacked("ovs-system", None),)}, FAIL),
        ({"stacked": (Stacked("eth0.5", "vlan"), Stacked("br0", "bridge"))}, FAIL),
        ({"stacked": (Stacked("eth0.5", "vlan"),)}, WARN),
        ({"addresses": ("fe80::1/64",)}, WARN),
        ({"addresses": ("192.0.2.2/24",)}, WARN),
        ({"addresses": ("192.0.2.2/24",), "default_route": True}, WARN),
        ({"addresses": ("192.0.2.2/24",), "forwarding": True}, FAIL),
    ],
)
def test_a_port_is_silent_without_address_and_apart_from_bridges(
    changes: dict[str, object], verdict: Verdict
) -> None:
    check = check_silence(replace(PORT, **changes))
    assert check.verdict is verdict
    assert (check.remedy is None) == (verdict is OK)


def test_a_port_that_is_down_is_silent_but_told_that_it_will_not_stay_so() -> None:
    check = check_silence(replace(PORT, up=False, ipv6_autoconfigures=True))
    assert check.verdict is OK
    assert "IPv6" in check.summary
    assert check.remedy is not None


# --- storage --------------------------------------------------------------------------------------

GB = 1_000_000_000


def storage_verdict(available_bytes: int, ports: Sequence[Port]) -> Verdict:
    disk = Storage(size_bytes=1000 * GB, available_bytes=available_bytes, writable=True)
    return check_storage(Path("/captures"), disk, ports).verdict


@pytest.mark.parametrize(("frame_bytes", "rate"), [(64, 1.55), (512, 1.30), (1518, 1.27)])
def test_a_capture_writes_what_its_blocks_weigh(frame_bytes: int, rate: float) -> None:
    assert pcapng_bytes_per_second(10e9, frame_bytes) == pytest.approx(rate * GB, rel=0.005)


def test_time_left_at_line_rate_decides_over_storage() -> None:
    assert storage_verdict(1000 * GB, [PORT]) is OK
    assert storage_verdict(1000 * GB, [PORT, PORT]) is WARN
    assert storage_verdict(100 * GB, [PORT]) is WARN
    assert storage_verdict(10 * GB, [PORT]) is FAIL
    assert storage_verdict(0, [PORT]) is FAIL


def test_a_port_of_unknown_speed_leaves_the_time_unknown_unless_it_is_short_already() -> None:
    unknown = replace(PORT, speed_bps=None)
    assert storage_verdict(1000 * GB, [unknown]) is UNKNOWN
    assert storage_verdict(1000 * GB, [PORT, unknown]) is UNKNOWN
    assert storage_verdict(10 * GB, [PORT, unknown]) is FAIL
    assert storage_verdict(0, [unknown]) is FAIL
    assert storage_verdict(1000 * GB, []) is UNKNOWN


def test_a_directory_that_cannot_be_written_or_found_fails() -> None:
    locked = Storage(size_bytes=GB, available_bytes=GB, writable=False)
    assert check_storage(Path("/captures"), locked, [PORT]).verdict is FAIL
    missing = check_storage(Path("/captures"), Unreadable("does not exist"), [PORT])
    assert (missing.verdict, missing.summary) == (FAIL, "does not exist")


# --- engine programs ------------------------------------------------------------------------------

RAW_AND_ADMIN = 1 << 12 | 1 << 13


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        (Program(exists=False, executable=False, file_capabilities=0, own_capabilities=0), FAIL),
        (
            Program(
                exists=True, executable=False, file_capabilities=RAW_AND_ADMIN, own_capabilities=0
            ),
            FAIL,
        ),
        (Program(exists=True, executable=True, file_capabilities=0, own_capabilities=0), FAIL),
        (
            Program(
                exists=True, executable=True, file_capabilities=RAW_AND_ADMIN, own_capabilities=0
            ),
            OK,
        ),
        (
            Program(
                exists=True, executable=True, file_capabilities=1 << 12, own_capabilities=1 << 13
            ),
            OK,
        ),
    ],
)
def test_a_program_must_be_there_runnable_and_allowed_to_open_ports(
    program: Program, verdict: Verdict
) -> None:
    assert check_program(Path("/usr/local/bin/ft-capture"), program).verdict is verdict


# --- words ----------------------------------------------------------------------------------------


def test_figures_in_words_are_short() -> None:
    assert [rate_words(rate) for rate in (10e9, 2.5e9, 1e8)] == ["10 Gb/s", "2.5 Gb/s", "100 Mb/s"]
    assert [size_words(size) for size in (0, 512, 80.06e9, 2e12)] == [
        "0 B",
        "512 B",
        "80.1 GB",
        "2 TB",
    ]
    times = (31.9, 119, 720, 12_240, 432_000)
    assert [duration_words(time) for time in times] == [
        "31 s",
        "119 s",
        "12 min",
        "3.4 h",
        "5 days",
    ]


@given(st.floats(0, 1e18))
def test_words_never_show_a_bare_exponent(value: float) -> None:
    assert not any("e+" in words for words in (size_words(value), duration_words(value)))
