"""The raw words behind the readings, for people and for `fieldtap check --explain`.

Only readers run, and none that prints keys: sfkey is left out, and so is the flash that holds them.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fieldtap_hardware import ethtool
from fieldtap_hardware.ports import LIVE, Kernel, Port
from fieldtap_hardware.programs import Ask
from fieldtap_hardware.readings import Readings
from fieldtap_hardware.sysfs import clean_text, read_bytes, read_text
from fieldtap_hardware.verdicts import Unreadable

NET = Path("/sys/class/net")
MAX_OUTPUT = 1 << 20  # bytes of one program
# What belongs to hardware; lines of other programs may hold names and addresses.
DMESG_LINE = re.compile(
    r"\b(?:sfc|ixgbe|i40e|ice|igb|igc|e1000e|mlx[45]_core|bnxt_en|atlantic|myri10ge"
    r"|virtio_net|thunderbolt|pcieport|AER|PCIe|nvme[0-9]*|thermal|mce|ptp|pps)\b"
    r"|temperature above threshold|throttled"
)
KERNEL_OPTIONS = (
    "isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity", "iommu", "intel_iommu", "amd_iommu", "pci",
    "thunderbolt", "intel_idle", "processor.", "idle=", "mitigations", "hugepages",
)  # fmt: skip

MACHINE_FILES = (
    "/etc/os-release",
    "/proc/version",
    "/proc/interrupts",
    "/proc/loadavg",
    "/proc/meminfo",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/class/dmi/id/product_name",
    "/sys/class/dmi/id/bios_version",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/isolated",
)
PORT_FILES = (
    "carrier",
    "carrier_changes",
    "duplex",
    "flags",
    "mtu",
    "operstate",
    "speed",
    "type",
    "device/vendor",
    "device/device",
    "device/subsystem_vendor",
    "device/subsystem_device",
    "device/current_link_speed",
    "device/current_link_width",
    "device/max_link_speed",
    "device/max_link_width",
    "device/numa_node",
    "device/local_cpulist",
    "device/aer_dev_correctable",
    "device/aer_dev_nonfatal",
    "device/aer_dev_fatal",
)
TOOLS: tuple[tuple[str, ...], ...] = (
    ("uname", "-r"),
    ("lspci", "-nn", "-vv"),
    ("devlink", "-j", "dev", "info"),
    ("boltctl", "list"),
    ("sensors",),
    ("sfupdate",),
    ("sfboot", "-l"),
    ("chronyc", "-c", "tracking"),
)
PORT_TOOLS: tuple[tuple[str, ...], ...] = (
    ("ethtool",),
    ("ethtool", "-i"),
    ("ethtool", "-T"),
    ("ethtool", "-m"),
    ("ethtool", "-S"),
    ("ethtool", "-g"),
    ("ethtool", "-k"),
)
IOCTLS = {"GDRVINFO": ethtool.GDRVINFO, "GET_TS_INFO": ethtool.GET_TS_INFO}


def collect(readings: Readings, ask: Ask, kernel: Kernel = LIVE) -> dict[str, object]:
    """Text, or values for JSON, by file's name; what could not be had says why in its place."""
    raw: dict[str, object] = {
        "kernel_options.txt": _kernel_options(),
        "files.json": dict(_files(readings.ports)),
        "ioctls.json": _ioctls(readings.ports, kernel),
        "dmesg.txt": _dmesg(ask),
    }
    for command in TOOLS:
        raw[f"{_name(command)}.txt"] = _said(ask, command)
    for port in readings.ports:
        for command in PORT_TOOLS:
            raw[f"{port.name}/{_name(command)}.txt"] = _said(ask, (*command, port.name))
    return raw


def _name(command: Sequence[str]) -> str:
    return "".join(word if word.startswith("-") else f"_{word}" for word in command).lstrip("_")


def _said(ask: Ask, command: Sequence[str]) -> str:
    output = ask(command)
    if isinstance(output, Unreadable):
        return f"(nothing: {output.reason})\n"
    return output[:MAX_OUTPUT].decode("utf-8", "replace")


def _dmesg(ask: Ask) -> str:
    lines = _said(ask, ("dmesg",)).splitlines()
    return "".join(f"{line}\n" for line in lines if DMESG_LINE.search(line))


def _kernel_options() -> str:
    """Those about cores, sleep and buses; others may hold addresses and passwords."""
    words = (read_text(Path("/proc/cmdline")) or "").split()
    return "".join(f"{word}\n" for word in words if word.startswith(KERNEL_OPTIONS))


def _files(ports: Sequence[Port]) -> Iterator[tuple[str, str | None]]:
    for file in MACHINE_FILES:
        found = read_bytes(Path(file), MAX_OUTPUT)  # those of /proc are longer than a page
        yield file, None if found is None else clean_text(found)
    for port in ports:
        for name in PORT_FILES:
            path = NET / port.name / name
            yield str(path), read_text(path)


def _ioctls(ports: Sequence[Port], kernel: Kernel) -> dict[str, dict[str, str | None]]:
    """Answers of the drivers in hexadecimal, by port and command."""
    answers = {
        port.name: {name: kernel.ask_driver(port.name, ask) for name, ask in IOCTLS.items()}
        for port in ports
    }
    return {
        port: {name: None if answer is None else answer.hex(" ") for name, answer in of.items()}
        for port, of in answers.items()
    }
