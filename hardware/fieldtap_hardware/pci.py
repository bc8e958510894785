"""The PCI functions between an adapter and the processor, from sysfs."""

import re
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.sysfs import (
    parse_int,
    parse_pcie_gtps,
    parse_pcie_width,
    read_bytes,
    read_text,
)

CONFIG_BYTES = 256
HEADER_BYTES = 64
STATUS_AT, HAS_CAPABILITIES = 0x06, 0x10
CAPABILITIES_AT = 0x34
MAX_CAPABILITIES = 48  # more do not fit; a list may be a loop
PCI_EXPRESS = 0x10
DEVICE_CONTROL_AT = 8
LARGEST_PAYLOAD_CODE = 5  # 4096 bytes
SMALLEST_PAYLOAD_BYTES = 128

ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


class PciFunction(Struct, frozen=True, kw_only=True):
    """A PCI function on the way from an adapter to the processor, and its PCI Express link.

    Link figures are None for conventional PCI, for an emulated device without a link, and where the
    kernel does not know them. A tunnel through Thunderbolt reports figures that prove nothing.
    """

    address: str  # "0000:01:00.0"
    device_id: str | None  # "8086:10fb", vendor and device
    link_gtps: float | None  # now, per lane
    link_width: int | None  # lanes in use
    max_link_gtps: float | None
    max_link_width: int | None
    payload_bytes: int | None  # of a transaction, at most; None where only root may read it
    removable: bool  # firmware says that it sits behind an external port
    subsystem_id: str | None = None  # "1924:8002", the board's vendor and number


def read_pci_path(device: Path) -> tuple[PciFunction, ...]:
    """The PCI functions above a device's real sysfs path, the adapter's own first."""
    return tuple(_read_function(path) for path in device.parents if ADDRESS.fullmatch(path.name))


def _read_function(path: Path) -> PciFunction:
    return PciFunction(
        address=path.name,
        device_id=_read_id(path, "vendor", "device"),
        link_gtps=parse_pcie_gtps(read_text(path / "current_link_speed")),
        link_width=parse_pcie_width(read_text(path / "current_link_width")),
        max_link_gtps=parse_pcie_gtps(read_text(path / "max_link_speed")),
        max_link_width=parse_pcie_width(read_text(path / "max_link_width")),
        payload_bytes=parse_payload_bytes(read_bytes(path / "config", CONFIG_BYTES)),
        removable=read_text(path / "removable") == "removable",
        subsystem_id=_read_id(path, "subsystem_vendor", "subsystem_device"),
    )


def _read_id(path: Path, vendor_name: str, device_name: str) -> str | None:
    vendor = parse_int(read_text(path / vendor_name), 0, 0xFFFF)
    device = parse_int(read_text(path / device_name), 0, 0xFFFF)
    return None if vendor is None or device is None else f"{vendor:04x}:{device:04x}"


def parse_payload_bytes(config: bytes | None) -> int | None:
    """Max_Payload_Size as set in a function's configuration space.

    It is bits 7:5 of Device Control, 8 bytes into the PCI Express capability (linux/pci_regs.h).
    None where the space is cut short, as it is for an unprivileged reader, or holds no such
    capability.
    """
    if config is None or len(config) < HEADER_BYTES or not config[STATUS_AT] & HAS_CAPABILITIES:
        return None
    at = config[CAPABILITIES_AT] & ~3
    for _ in range(MAX_CAPABILITIES):
        if at < HEADER_BYTES or at + DEVICE_CONTROL_AT + 2 > len(config):
            return None
        if config[at] == PCI_EXPRESS:
            code = config[at + DEVICE_CONTROL_AT] >> 5
            return SMALLEST_PAYLOAD_BYTES << code if code <= LARGEST_PAYLOAD_CODE else None
        at = config[at + 1] & ~3
    return None
