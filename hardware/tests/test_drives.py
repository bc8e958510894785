"""Drives and the rate at which they are written.

Outputs of smartctl and nvme are constructed: their layout is that of smartmontools 7.3 and nvme-cli
2.3, their drives are made up.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from fieldtap_hardware.drives import (
    Drive,
    Health,
    Temperature,
    ask_health,
    check_health,
    check_temperature,
    parse_nvme,
    parse_smartctl,
    read_drive,
)
from fieldtap_hardware.explain import explain
from fieldtap_hardware.programs import Ask
from fieldtap_hardware.storage import Storage
from fieldtap_hardware.verdicts import Unreadable, Verdict
from fieldtap_hardware.write_rate import (
    Interval,
    Rates,
    RunningCapture,
    WriteRun,
    check_time_left,
    check_write_rate,
    rates,
)
from hypothesis import given
from hypothesis import strategies as st
from made_ports import PORT
from msgspec.structs import replace

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
UNKNOWN, NOT_APPLICABLE = Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

NVME_BY_SMARTCTL = {
    "json_format_version": [1, 0],
    "smartctl": {"version": [7, 3], "exit_status": 0},
    "device": {"name": "/dev/nvme0n1", "type": "nvme", "protocol": "NVMe"},
    "model_name": "Samsung SSD 980 PRO 1TB",
    "serial_number": "S5GXNX0T123456A",
    "firmware_version": "5B2QGXA7",
    "smart_status": {"passed": True, "nvme": {"value": 0}},
    "nvme_smart_health_information_log": {
        "critical_warning": 0,
        "temperature": 41,
        "available_spare": 100,
        "available_spare_threshold": 10,
        "percentage_used": 3,
        "media_errors": 0,
        "temperature_sensors": [41, 52],
    },
    "temperature": {"current": 41},
}
ATA_BY_SMARTCTL = {
    "smartctl": {"version": [7, 3], "exit_status": 0},
    "device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"},
    "model_name": "WDC WD40EFRX-68N32N0",
    "smart_status": {"passed": True},
    "ata_smart_attributes": {
        "table": [
            {"id": 5, "name": "Reallocated_Sector_Ct", "raw": {"value": 0}, "when_failed": ""},
            {"id": 197, "name": "Current_Pending_Sector", "raw": {"value": 8}, "when_failed": ""},
        ]
    },
    "temperature": {"current": 33},
}
# Recorded: smartctl 7.3 in a guest, for a device that is not there.
NOT_OPENED = {
    "json_format_version": [1, 0],
    "smartctl": {
        "version": [7, 3],
        "svn_revision": "5338",
        "argv": ["smartctl", "-j", "-a", "/dev/nvme0"],
        "messages": [
            {
                "string": "Smartctl open device: /dev/nvme0 failed: No such device",
                "severity": "error",
            }
        ],
        "exit_status": 2,
    },
}
BY_NVME = {
    "critical_warning": {"value": 0, "available_spare": 0},
    "temperature": 314,
    "avail_spare": 100,
    "spare_thresh": 10,
    "percent_used": 3,
    "media_errors": "0",
    "temperature_sensor_1": 314,
}
HEALTHY = Health(
    source="smartctl",
    model="Samsung SSD 980 PRO 1TB",
    passed=True,
    critical_warning=0,
    spare_percent=100,
    spare_threshold_percent=10,
    worn_percent=3,
    media_errors=0,
    bad_sectors=None,
    temperature_c=41,
)
DRIVE = Drive(
    device="/dev/nvme0n1",
    model=None,
    paravirtual=False,
    temperature=Temperature(41.0, 81.8, 84.8),
    health=HEALTHY,
)


def printed(document: object) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


# --- health ---------------------------------------------------------------------------------------


def test_what_smartctl_prints_of_an_nvme_drive() -> None:
    assert parse_smartctl(printed(NVME_BY_SMARTCTL)) == HEALTHY


def test_what_smartctl_prints_of_a_sata_disk() -> None:
    found = parse_smartctl(printed(ATA_BY_SMARTCTL))
    assert isinstance(found, Health)
    assert (found.passed, found.bad_sectors, found.temperature_c) == (True, 8, 33)


def test_what_nvme_prints_is_read_in_kelvins_objects_and_text() -> None:
    assert parse_nvme(printed(BY_NVME)) == replace(HEALTHY, source="nvme", model=None, passed=None)


def test_serial_numbers_are_not_taken() -> None:
    (item,) = explain("smartctl", printed(NVME_BY_SMARTCTL)).items
    assert "S5GXNX0T123456A" not in str(item)


def test_a_drive_that_was_not_opened_is_not_known_in_smartctls_words() -> None:
    found = parse_smartctl(printed(NOT_OPENED))
    assert isinstance(found, Unreadable)
    assert "/dev/nvme0 failed: No such device" in found.reason


@pytest.mark.parametrize("tool", ["smartctl", "nvme"])
@given(cut=st.integers(min_value=1, max_value=200))
def test_a_cut_output_is_never_healthy(tool: str, cut: int) -> None:
    whole = printed(NVME_BY_SMARTCTL if tool == "smartctl" else BY_NVME).rstrip()
    parse = parse_smartctl if tool == "smartctl" else parse_nvme
    assert isinstance(parse(whole[:-cut]), Unreadable)


def answers(**by_program: object) -> Ask:
    def ask(command: Sequence[str]) -> bytes | Unreadable:
        if command[0] not in by_program:
            return Unreadable(f"{command[0]} is not installed")
        return printed(by_program[command[0]])

    return ask


def test_nvme_is_asked_where_smartctl_is_not_installed() -> None:
    found = ask_health("/dev/nvme0n1", answers(nvme=BY_NVME))
    assert isinstance(found, Health)
    assert found.source == "nvme"
    neither = ask_health("/dev/nvme0n1", answers())
    assert neither == Unreadable("smartctl is not installed")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, OK),
        ({"passed": False}, FAIL),
        ({"critical_warning": 4}, FAIL),
        ({"spare_percent": 9}, FAIL),
        ({"media_errors": 1}, WARN),
        ({"bad_sectors": 8}, WARN),
        ({"worn_percent": 90}, WARN),
        ({"passed": None, "critical_warning": None}, UNKNOWN),
    ],
)
def test_health_is_judged_by_what_the_drive_says(
    change: dict[str, object], verdict: Verdict
) -> None:
    drive = replace(DRIVE, health=replace(HEALTHY, **change))
    assert check_health("/captures", drive).verdict is verdict


def test_a_drive_that_nobody_asked_is_unknown_and_one_that_is_none_not_judged() -> None:
    unasked = replace(DRIVE, health=Unreadable("smartctl is not installed"))
    check = check_health("/captures", unasked)
    assert (check.verdict, "smartmontools" in str(check.remedy)) == (UNKNOWN, True)
    for drive in (Unreadable("is no drive but tmpfs"), replace(DRIVE, paravirtual=True)):
        assert check_health("/captures", drive).verdict is NOT_APPLICABLE
        assert check_temperature("/captures", drive).verdict is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("temperature", "verdict"),
    [
        (Temperature(41.0, 81.8, 84.8), OK),
        (Temperature(77.0, 81.8, 84.8), WARN),
        (Temperature(84.8, 81.8, 84.8), FAIL),
        (Temperature(66.0, None, None), WARN),
        (None, UNKNOWN),
    ],
)
def test_heat_is_judged_by_the_drives_own_limits(
    temperature: Temperature | None, verdict: Verdict
) -> None:
    assert check_temperature("/", replace(DRIVE, temperature=temperature)).verdict is verdict


def test_the_drive_under_a_folder_is_found_through_its_partition(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    disk = tmp_path / "sys/devices/pci0000:00/nvme/nvme0/nvme0n1"
    for path, text in {
        "nvme0n1p2/partition": "2",
        "device/hwmon1/temp1_input": "41850",
        "device/hwmon1/temp1_max": "81850",
    }.items():
        file = disk / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    (disk / "nvme0n1p2/slaves").mkdir()
    link = tmp_path / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(disk / "nvme0n1p2")
    found = read_drive(tmp_path, answers(smartctl=NVME_BY_SMARTCTL), tmp_path / "sys")
    assert found == replace(DRIVE, temperature=Temperature(41.85, 81.85, None))


def test_a_drive_that_holds_a_folder_together_with_others_does_not_speak_for_them(
    tmp_path: Path,
) -> None:
    number = tmp_path.stat().st_dev
    devices = tmp_path / "sys/devices"
    (devices / "virtual/block/md0/slaves").mkdir(parents=True)
    for name in ("nvme0n1", "nvme1n1"):
        (devices / name).mkdir()
        (devices / f"virtual/block/md0/slaves/{name}").symlink_to(devices / name)
    link = tmp_path / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(devices / "virtual/block/md0")
    found = read_drive(tmp_path, answers(smartctl=NVME_BY_SMARTCTL), tmp_path / "sys")
    check = check_health("/captures", found)
    assert check.verdict is UNKNOWN
    assert "/dev/nvme1n1" in check.summary
    assert check.remedy


def test_a_folder_in_memory_is_on_no_drive() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or os.major(memory.stat().st_dev):
        pytest.skip("/dev/shm is no tmpfs here")
    assert read_drive(memory, answers()) == Unreadable("is no drive but tmpfs")


# --- the rate of writing --------------------------------------------------------------------------

LINE_RATE_1518 = 1_277_000_000  # bytes a second that one port of 10 Gb/s fills, rounded up


def run_of(*rates_mb: int, limited: bool = True) -> WriteRun:
    return WriteRun(
        measured_ns=0,
        intervals=tuple(Interval(0.5, rate * 500_000) for rate in rates_mb),
        disk_was_the_limit=limited,
    )


def test_an_even_run_has_no_cliff() -> None:
    assert rates(run_of(*[500, 480, 510, 490] * 4)) == Rates(495e6, 495e6, None)


def test_a_cliff_is_found_where_the_fast_cache_ends() -> None:
    found = rates(run_of(*[2000] * 10, *[400] * 10))
    assert (found.first, found.last) == (2e9, 400e6)
    assert found.cliff_bytes == 10 * 2000 * 500_000


def test_one_slow_moment_is_no_cliff() -> None:
    assert rates(run_of(*[2000] * 5, 100, *[2000] * 10)).cliff_bytes is None


def test_the_sustained_rate_is_weighed_against_line_rate() -> None:
    assert check_write_rate("/", run_of(*[3000] * 16), [PORT]).verdict is OK
    assert check_write_rate("/", run_of(*[1500] * 16), [PORT]).verdict is WARN
    fails = check_write_rate("/", run_of(*[3000] * 8, *[900] * 8), [PORT])
    assert (fails.verdict, "before it fell at" in fails.summary) == (FAIL, True)
    needed = fails.evidence["needed_bytes_per_second_1518_byte_frames"]
    assert isinstance(needed, int)
    assert needed < LINE_RATE_1518
    assert check_write_rate("/", run_of(*[3000] * 16), [PORT, PORT]).verdict is WARN


def test_a_rate_that_the_processor_limited_is_no_failure_of_the_disk() -> None:
    assert check_write_rate("/", run_of(*[900] * 16, limited=False), [PORT]).verdict is UNKNOWN
    assert check_write_rate("/", run_of(*[3000] * 16, limited=False), [PORT]).verdict is OK


def test_a_rate_that_was_not_measured_or_a_speed_that_is_not_told_is_unknown() -> None:
    assert check_write_rate("/", None, [PORT]).verdict is UNKNOWN
    assert check_write_rate("/", Unreadable("full"), [PORT]).verdict is UNKNOWN
    silent = replace(PORT, speed_bps=None)
    assert check_write_rate("/", run_of(*[3000] * 16), [silent]).verdict is UNKNOWN


@given(st.lists(st.builds(Interval, st.floats(0, 10), st.integers(0, 1 << 50)), max_size=40))
def test_any_run_has_rates_and_a_verdict(intervals: list[Interval]) -> None:
    run = replace(run_of(), intervals=tuple(intervals))
    assert rates(run).last >= 0
    assert check_write_rate("/", run, [PORT]).verdict in Verdict


def test_the_time_left_is_space_by_the_present_rate_of_what_runs() -> None:
    storage = Storage(size_bytes=10**12, available_bytes=10**9, writable=True)
    ring = RunningCapture("ring", 1e9, is_ring=True)
    tap = RunningCapture("tap", 1e7, is_ring=False)
    assert check_time_left("/", storage, []).verdict is NOT_APPLICABLE
    assert check_time_left("/", storage, [ring]).verdict is OK
    check = check_time_left("/", storage, [ring, tap])
    assert (check.verdict, check.evidence["seconds_left"]) == (WARN, 100)
    assert check_time_left("/", storage, [replace(tap, bytes_per_second=2e8)]).verdict is FAIL
    assert check_time_left("/", storage, [replace(tap, bytes_per_second=1e5)]).verdict is OK
