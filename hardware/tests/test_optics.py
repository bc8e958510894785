"""Transceivers: what is read of their memory, and what is thought of it."""

import os
import struct

import pytest
from fieldtap_hardware.optics import (
    QSFP28,
    SFF_8079,
    SFF_8472,
    SFF_8636,
    Module,
    check_optics,
    parse_module,
    read_module,
)
from fieldtap_hardware.verdicts import Unreadable, Verdict
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from recorded_driver import RecordedDriver, RecordedPort, SfpReadings, sfp_memory
from sample_ports import PORT


def sfp(readings: SfpReadings) -> Module:
    module = parse_module(SFF_8472, sfp_memory(readings))
    assert isinstance(module, Module)
    return module


def qsfp_memory() -> bytearray:
    """Four lanes that receive 0.4, 0.5, 0.6 and 0.7 mW; thresholds on page 3."""
    memory = bytearray(640)
    memory[0] = QSFP28
    struct.pack_into(">h", memory, 22, 40 * 256)
    struct.pack_into(">H", memory, 26, 33_000)
    struct.pack_into(">4H", memory, 34, 4000, 5000, 6000, 7000)
    struct.pack_into(">4H", memory, 42, 3500, 3500, 3500, 3500)
    struct.pack_into(">4H", memory, 50, 6000, 6000, 6000, 6000)
    memory[148:164] = b"Mellanox".ljust(16)
    memory[168:184] = b"MMA1B00-C100D".ljust(16)
    struct.pack_into(">4h", memory, 512, 80 * 256, -10 * 256, 70 * 256, 0)
    struct.pack_into(">4H", memory, 528, 36_000, 30_000, 35_000, 31_000)
    struct.pack_into(">4H", memory, 560, 10_000, 1000, 8000, 2000)
    struct.pack_into(">4H", memory, 568, 5000, 500, 4500, 1000)
    struct.pack_into(">4H", memory, 576, 10_000, 1000, 8000, 2000)
    return memory


def test_an_sfp_tells_who_made_it_and_what_it_measures() -> None:
    module = sfp(SfpReadings(temperature_c=-4.5, rx_power_mw=0.4321))
    assert (module.vendor, module.part) == ("FINISAR CORP.", "FTLX8571D3BCL")
    values = {reading.name: reading.value for reading in module.readings}
    assert values == {
        "temperature_c": -4.5,
        "supply_v": 3.3,
        "laser_bias_ma": 7.0,
        "tx_power_mw": 0.6,
        "rx_power_mw": 0.4321,
    }
    power = module.readings[-1]
    assert (power.low_alarm, power.low_warning) == (0.01, 0.0158)
    assert (power.high_warning, power.high_alarm) == (0.79, 1.0)


def test_a_qsfp_is_read_lane_by_lane() -> None:
    module = parse_module(SFF_8636, bytes(qsfp_memory()))
    assert isinstance(module, Module)
    values = {reading.name: reading.value for reading in module.readings}
    assert values["temperature_c"] == 40
    assert [values[f"rx_power_mw_{lane}"] for lane in (1, 2, 3, 4)] == [0.4, 0.5, 0.6, 0.7]
    assert check_optics(PORT, module).verdict is Verdict.OK


def test_one_dark_lane_of_a_qsfp_is_a_failure_that_names_it() -> None:
    memory = qsfp_memory()
    struct.pack_into(">H", memory, 34 + 2 * 2, 0)
    check = check_optics(PORT, parse_module(SFF_8636, bytes(memory)))
    assert check.verdict is Verdict.FAIL
    assert "rx_power_mw_3" in check.summary


@pytest.mark.parametrize(
    ("readings", "verdict", "word"),
    [
        (SfpReadings(), "ok", "within"),
        (SfpReadings(temperature_c=79), "fail", "temperature_c"),
        (SfpReadings(temperature_c=-9), "warn", "temperature_c"),
        (SfpReadings(rx_power_mw=0.0), "fail", "rx_power_mw"),
        (SfpReadings(rx_power_mw=0.012), "warn", "rx_power_mw"),
        (SfpReadings(tx_power_mw=0.9), "warn", "tx_power_mw"),
        (SfpReadings(laser_bias_ma=14), "fail", "laser_bias_ma"),
        (SfpReadings(supply_v=2.8), "fail", "supply_v"),
        (SfpReadings(monitored=False), "not_applicable", "cables"),
    ],
)
def test_a_reading_is_judged_by_the_modules_own_thresholds(
    readings: SfpReadings, verdict: str, word: str
) -> None:
    check = check_optics(PORT, sfp(readings))
    assert check.verdict == verdict
    assert word in check.summary
    assert (check.remedy is None) == (verdict in ("ok", "not_applicable"))


def test_a_laser_that_is_off_with_its_port_is_no_failure() -> None:
    dark = sfp(SfpReadings(tx_power_mw=0, laser_bias_ma=0))
    assert check_optics(PORT, dark).verdict is Verdict.FAIL
    assert check_optics(replace(PORT, up=False, carrier=None), dark).verdict is Verdict.OK


def test_a_module_without_thresholds_cannot_be_judged() -> None:
    memory = bytearray(sfp_memory(SfpReadings()))
    memory[256:296] = bytes(40)
    assert check_optics(PORT, parse_module(SFF_8472, bytes(memory))).verdict is Verdict.UNKNOWN


def test_a_module_that_wants_its_readings_calibrated_is_unknown() -> None:
    memory = bytearray(sfp_memory(SfpReadings()))
    memory[92] = 0x50  # measures, externally calibrated
    assert check_optics(PORT, parse_module(SFF_8472, bytes(memory))).verdict is Verdict.UNKNOWN


def test_diagnostics_that_are_promised_and_cut_off_are_unknown() -> None:
    memory = sfp_memory(SfpReadings())[:300]
    assert check_optics(PORT, parse_module(SFF_8472, memory)).verdict is Verdict.UNKNOWN


def test_a_fibre_port_that_tells_nothing_is_unknown_and_a_copper_port_has_none() -> None:
    silent = RecordedDriver({"eth0": RecordedPort(driver="sfc", version="6.1")})
    assert read_module("eth0", silent) is None
    assert check_optics(replace(PORT, connector="fibre"), None).verdict is Verdict.UNKNOWN
    copper = check_optics(replace(PORT, connector="copper"), None)
    assert copper.verdict is Verdict.NOT_APPLICABLE


def test_a_user_who_may_not_read_transceivers_is_told_to_ask_as_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    module = read_module("eth0", RecordedDriver({}))
    for connector in ("fibre", None):
        check = check_optics(replace(PORT, bus="pci", connector=connector), module)
        assert (check.verdict, check.remedy) == (
            Verdict.UNKNOWN,
            "check again with `sudo fieldtap check`",
        )
    without = (
        replace(PORT, connector="copper"),
        replace(PORT, connector="cable"),
        replace(PORT, bus="virtio", connector=None),
    )
    assert {check_optics(port, module).verdict for port in without} == {Verdict.NOT_APPLICABLE}


@given(st.sampled_from((SFF_8079, SFF_8472, SFF_8636, 0, 77)), st.binary(max_size=700))
def test_any_memory_is_read_within_its_bounds(kind: int, memory: bytes) -> None:
    module = parse_module(kind, memory)
    assert isinstance(module, Module | Unreadable)
    assert check_optics(PORT, module).verdict is not None


@given(
    st.integers(0, 511),
    st.integers(0, 255),
)
def test_a_changed_byte_never_turns_a_dark_receiver_good(at: int, value: int) -> None:
    memory = bytearray(sfp_memory(SfpReadings(rx_power_mw=0)))
    memory[at] = value
    good = check_optics(PORT, parse_module(SFF_8472, bytes(memory))).verdict is Verdict.OK
    power_or_limits = at in (360, 361) or 256 + 32 <= at < 256 + 40
    assert not good or power_or_limits
