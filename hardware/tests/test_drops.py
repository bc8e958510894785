"""Counters of lost frames: how they are read, and who is blamed."""

import struct

import pytest
from fieldtap_hardware import ethtool
from fieldtap_hardware.drops import (
    Cause,
    DropCount,
    DropMeter,
    check_drops,
    compare,
    known_counters,
)
from fieldtap_hardware.ethtool import Offloads, parse_statistics, read_offloads, read_statistics
from fieldtap_hardware.verdicts import Verdict
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from recorded_driver import RecordedDriver, RecordedPort
from sample_ports import PORT

NODESC, OVERFLOW, BAD = "port_rx_nodesc_drops", "port_rx_overflow", "port_rx_bad"


def driver(**statistics: list[int]) -> RecordedDriver:
    recorded = RecordedPort(driver="sfc", version="6.1", statistics=statistics)
    return RecordedDriver({"eth0": recorded})


def test_statistics_come_with_their_names() -> None:
    ask = driver(port_rx_good=[5], port_rx_bad=[2**63 + 1])
    assert read_statistics("eth0", ask) == {"port_rx_good": 5, "port_rx_bad": 2**63 + 1}


def test_a_port_without_statistics_has_none() -> None:
    assert read_statistics("eth0", driver()) is None
    assert read_statistics("eth1", driver()) is None


def test_counters_that_changed_in_number_between_names_and_values_are_not_paired() -> None:
    names = struct.pack("=III", ethtool.GSTRINGS, 1, 2) + b"a".ljust(32, b"\0") + b"b" * 32
    values = struct.pack("=II3Q", ethtool.GSTATS, 3, 1, 2, 3)
    assert parse_statistics(names, values) is None


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_answer_is_read_within_its_bounds(names: bytes, values: bytes) -> None:
    found = parse_statistics(names, values)
    assert found is None or all(name.isprintable() for name in found)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_every_counter_keeps_its_value(counters: list[int]) -> None:
    names = struct.pack("=III", ethtool.GSTRINGS, 1, len(counters))
    names += b"".join(f"counter_{at}".encode().ljust(32, b"\0") for at in range(len(counters)))
    values = struct.pack(f"=II{len(counters)}Q", ethtool.GSTATS, len(counters), *counters)
    room = bytes(500)  # the kernel fills less than the room it was given
    expected = {f"counter_{at}": value for at, value in enumerate(counters)}
    assert parse_statistics(names + room, values + room) == expected


@pytest.mark.parametrize(
    ("counter", "verdict", "cause"),
    [
        (NODESC, "fail", Cause.HOST),
        (OVERFLOW, "fail", Cause.BUS),
        (BAD, "warn", Cause.BAD_FRAMES),
        ("port_rx_dp_di_dropped_packets", "fail", Cause.UNKNOWN),
    ],
)
def test_a_counter_that_rises_blames_its_cause(counter: str, verdict: str, cause: Cause) -> None:
    drops = DropMeter([PORT], driver(**{counter: [10, 17]})).read()
    check = check_drops(PORT, drops["eth0"])
    assert (check.verdict, check.evidence[f"{cause}_frames"]) == (verdict, 7)
    assert check.remedy is not None


def test_what_was_lost_before_is_told_and_not_blamed() -> None:
    drops = DropMeter([PORT], driver(**{NODESC: [1000, 1000]})).read()
    check = check_drops(PORT, drops["eth0"])
    assert check.verdict is Verdict.OK
    assert "1000 since" in check.summary


def test_the_bus_is_blamed_before_the_host_that_waits_for_it() -> None:
    drops = (
        DropCount(NODESC, Cause.HOST, 900, 900),
        DropCount(OVERFLOW, Cause.BUS, 5, 5),
    )
    assert "bus" in check_drops(PORT, drops).summary


def test_a_counter_that_was_reset_proves_nothing() -> None:
    assert compare(PORT, {NODESC: 9}, {NODESC: 2}) is None
    assert check_drops(PORT, None).verdict is Verdict.UNKNOWN


def test_a_driver_without_known_counters_is_unknown_and_a_virtual_port_has_no_adapter() -> None:
    stranger = replace(PORT, driver="other")
    assert (
        check_drops(stranger, DropMeter([stranger], driver()).read()["eth0"]).verdict == "unknown"
    )
    assert check_drops(replace(PORT, virtual=True), None).verdict is Verdict.NOT_APPLICABLE


def test_each_driver_of_the_table_tells_the_slow_host_from_the_bad_wire() -> None:
    for name, counters in known_counters().items():
        causes = set(counters.values())
        assert causes == {Cause.UNKNOWN} or causes >= {Cause.HOST, Cause.BAD_FRAMES}, name


def test_offloads_that_a_driver_does_not_tell_are_none() -> None:
    assert read_offloads("eth0", driver()) == Offloads()

    def some(port: str, request: bytes) -> bytes | None:
        command, _ = struct.unpack("=II", request)
        values = {ethtool.GGRO: 1, ethtool.GFLAGS: ethtool.FLAG_LRO, ethtool.GTSO: 0}
        return struct.pack("=II", command, values[command]) if command in values else None

    expected = Offloads(gro=True, lro=True, tso=False, gso=None, rx_vlan=False)
    assert read_offloads("eth0", some) == expected
