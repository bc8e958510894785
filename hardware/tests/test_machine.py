"""Power, heat and processor, over folders that look like /sys: the machines are made up."""

import struct
from pathlib import Path

import pytest
from fieldtap_hardware.interrupts import Interrupt, Interrupts, check_interrupts, read_interrupts
from fieldtap_hardware.power import (
    Supply,
    Throttling,
    check_supply,
    check_throttling,
    compare_throttling,
    read_supplies,
    read_throttling,
)
from fieldtap_hardware.processor import (
    IdleState,
    Processor,
    check_governor,
    check_idle,
    check_isolation,
    parse_cpu_list,
    read_processor,
)
from fieldtap_hardware.verdicts import Verdict
from hypothesis import given
from hypothesis import strategies as st
from made_ports import PORT
from msgspec.structs import replace

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
UNKNOWN, NOT_APPLICABLE = Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

MAINS = Supply(name="AC", kind="Mains", online=True, status=None, capacity_percent=None)
BATTERY = Supply(name="BAT0", kind="Battery", online=None, status="Charging", capacity_percent=80)
READY = Processor(
    online=(0, 1, 2, 3, 4, 5, 6, 7),
    isolated=(6, 7),
    governors={"performance": 8},
    frequency_driver="intel_pstate",
    turbo=True,
    idle_driver="intel_idle",
    idle_states=(IdleState("POLL", 0), IdleState("C1", 2)),
    latency_limit_us=2_000_000_000,
)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


# --- power ----------------------------------------------------------------------------------------


def test_mains_is_ok_battery_a_warning_and_a_nearly_empty_one_a_failure() -> None:
    off = replace(MAINS, online=False)
    drains = replace(BATTERY, status="Discharging")
    assert check_supply([MAINS, BATTERY]).verdict is OK
    assert check_supply([off, drains]).verdict is WARN
    assert check_supply([off, replace(drains, capacity_percent=19)]).verdict is FAIL
    assert check_supply([drains]).verdict is WARN


def test_a_supply_that_is_too_weak_is_a_warning() -> None:
    check = check_supply([MAINS, replace(BATTERY, status="Discharging")])
    assert check.verdict is WARN
    assert "BAT0 is discharged at 80 %" in check.summary


def test_a_machine_without_supplies_is_not_judged_and_a_dumb_one_is_unknown() -> None:
    assert check_supply([]).verdict is NOT_APPLICABLE
    assert check_supply([replace(MAINS, online=None)]).verdict is UNKNOWN


def test_supplies_are_read_and_those_of_peripherals_left_out(tmp_path: Path) -> None:
    write(tmp_path / "AC", {"type": "Mains", "online": "1"})
    write(tmp_path / "BAT0", {"type": "Battery", "status": "Charging", "capacity": "80"})
    write(tmp_path / "hidpp_battery_0", {"type": "Battery", "scope": "Device", "capacity": "5"})
    assert read_supplies(tmp_path) == (MAINS, BATTERY)


def test_throttling_is_counted_over_cores_and_judged_by_its_rise(tmp_path: Path) -> None:
    assert read_throttling(tmp_path) is None
    write(tmp_path, {"cpu0/thermal_throttle/core_throttle_count": "3"})
    write(tmp_path, {"cpu11/thermal_throttle/package_throttle_count": "41"})
    assert read_throttling(tmp_path) == 41
    assert compare_throttling(40, 41) == Throttling(41, 1)
    assert check_throttling(Throttling(41, 1)).verdict is FAIL
    assert check_throttling(Throttling(41, 0)).verdict is WARN
    assert check_throttling(Throttling(0, 0)).verdict is OK
    assert check_throttling(compare_throttling(None, 0)).verdict is NOT_APPLICABLE


# --- processor ------------------------------------------------------------------------------------


def test_a_core_that_may_slow_down_is_a_warning() -> None:
    assert check_governor(READY).verdict is OK
    check = check_governor(replace(READY, governors={"performance": 7, "powersave": 1}))
    assert check.verdict is WARN
    assert "powersave" in check.summary
    assert check_governor(replace(READY, governors={})).verdict is NOT_APPLICABLE


def test_deep_sleep_is_a_warning_unless_somebody_forbids_it() -> None:
    deep = replace(READY, idle_states=(*READY.idle_states, IdleState("C10", 890)))
    assert check_idle(READY).verdict is OK
    check = check_idle(deep)
    assert (check.verdict, "C10" in check.summary) == (WARN, True)
    assert check_idle(replace(deep, latency_limit_us=20)).verdict is OK
    assert check_idle(replace(deep, latency_limit_us=None)).verdict is WARN
    assert check_idle(replace(READY, idle_states=())).verdict is NOT_APPLICABLE


def test_cores_are_to_be_kept_free_where_there_are_enough() -> None:
    assert check_isolation(READY).verdict is OK
    none = replace(READY, isolated=())
    assert check_isolation(none).verdict is WARN
    assert check_isolation(replace(none, online=(0, 1))).verdict is NOT_APPLICABLE
    assert check_isolation(replace(none, online=())).verdict is UNKNOWN


def test_a_processor_is_read_core_by_core(tmp_path: Path) -> None:
    write(tmp_path, {"online": "0-3", "isolated": "2-3", "intel_pstate/no_turbo": "1"})
    write(tmp_path, {"cpuidle/current_driver": "intel_idle"})
    for core in range(4):
        governor = "powersave" if core else "performance"
        write(tmp_path / f"cpu{core}/cpufreq", {"scaling_governor": governor})
        write(
            tmp_path / f"cpu{core}/cpuidle",
            {
                "state1/name": "C1",
                "state1/latency": "2",
                "state1/disable": "0",
                "state4/name": "C10",
                "state4/latency": "890",
                "state4/disable": str(min(core, 1)),  # enabled on the first core alone
            },
        )
    request = tmp_path / "cpu_dma_latency"
    request.write_bytes(struct.pack("=i", 50))
    assert read_processor(tmp_path, request) == Processor(
        online=(0, 1, 2, 3),
        isolated=(2, 3),
        governors={"performance": 1, "powersave": 3},
        frequency_driver=None,
        turbo=False,
        idle_driver="intel_idle",
        idle_states=(IdleState("C1", 2), IdleState("C10", 890)),
        latency_limit_us=50,
    )


def test_this_machine_is_read_as_the_kernel_lists_its_cores() -> None:
    online = Path("/sys/devices/system/cpu/online")
    if not online.exists():
        pytest.skip("this kernel lists no cores")
    assert read_processor().online == parse_cpu_list(online.read_text().strip())


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("0-2,5", (0, 1, 2, 5)),
        ("7", (7,)),
        ("", ()),
        (None, ()),
        ("3-1", ()),
        ("0-99999999", ()),
        ("-1", ()),
        ("a", ()),
    ],
)
def test_a_list_of_cores(text: str | None, cores: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cores


@given(st.text(alphabet="0123456789-,x \n", max_size=60))
def test_no_list_of_cores_names_more_than_there_can_be(text: str) -> None:
    assert all(0 <= core < 8192 for core in parse_cpu_list(text))


# --- interrupts -----------------------------------------------------------------------------------

SPREAD = Interrupts((Interrupt(30, (0,)), Interrupt(31, (1,))), local_cpus=(0, 1, 2, 3))
QUEUES = replace(PORT, rx_queues=2, numa_node=0)


def test_interrupts_belong_near_the_adapter_and_on_several_cores() -> None:
    assert check_interrupts(QUEUES, SPREAD, READY).verdict is OK
    far = Interrupts((Interrupt(30, (6,)), Interrupt(31, (1,))), local_cpus=(0, 1, 2, 3))
    check = check_interrupts(QUEUES, far, READY)
    assert (check.verdict, "/proc/irq/30/" in str(check.remedy)) == (WARN, True)
    heaped = Interrupts((Interrupt(30, (0,)), Interrupt(31, (0,))), local_cpus=())
    assert check_interrupts(QUEUES, heaped, READY).verdict is WARN
    assert check_interrupts(PORT, heaped, READY).verdict is OK  # one queue needs one core
    assert check_interrupts(QUEUES, Interrupts((), ()), READY).verdict is UNKNOWN
    virtual = replace(PORT, virtual=True)
    assert check_interrupts(virtual, Interrupts((), ()), READY).verdict is NOT_APPLICABLE


def test_interrupts_of_the_bridge_above_an_adapter_are_not_its_own(tmp_path: Path) -> None:
    """An adapter with a line interrupt has none of its own to show, its root port has."""
    function = tmp_path / "pci/0000:00:01.0/0000:01:00.0"
    write(function.parent, {"msi_irqs/24": "msi"})
    write(tmp_path / "irq/24", {"smp_affinity_list": "0"})
    function.mkdir()
    (tmp_path / "net/eth0").mkdir(parents=True)
    (tmp_path / "net/eth0/device").symlink_to(function)
    found = read_interrupts(PORT, tmp_path / "net", tmp_path / "irq")
    assert check_interrupts(PORT, found, READY).verdict is UNKNOWN


def test_interrupts_are_read_where_they_are_served(tmp_path: Path) -> None:
    function = tmp_path / "pci/0000:01:00.0"
    write(function, {"msi_irqs/30": "msix", "msi_irqs/31": "msix", "local_cpulist": "0-3"})
    (tmp_path / "net/eth0").mkdir(parents=True)
    (tmp_path / "net/eth0/device").symlink_to(function)
    write(tmp_path / "irq/30", {"smp_affinity_list": "0-7", "effective_affinity_list": "0"})
    write(tmp_path / "irq/31", {"smp_affinity_list": "1", "effective_affinity_list": ""})
    found = read_interrupts(PORT, tmp_path / "net", tmp_path / "irq")
    assert found == SPREAD
