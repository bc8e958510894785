"""The PCI functions between an adapter and the processor, from sysfs."""

import re
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.sysfs import parse_int, parse_pcie_gtps, parse_pcie_width, read_text

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
    removable: bool  # firmware says that it sits behind an external port


def read_pci_path(device: Path) -> tuple[PciFunction, ...]:
    """The PCI functions above a device's real sysfs path, the adapter's own first."""
    return tuple(_read_function(path) for path in device.parents if ADDRESS.fullmatch(path.name))


def _read_function(path: Path) -> PciFunction:
    vendor = parse_int(read_text(path / "vendor"), 0, 0xFFFF)
    device = parse_int(read_text(path / "device"), 0, 0xFFFF)
    return PciFunction(
        address=path.name,
        device_id=None if vendor is None or device is None else f"{vendor:04x}:{device:04x}",
        link_gtps=parse_pcie_gtps(read_text(path / "current_link_speed")),
        link_width=parse_pcie_width(read_text(path / "current_link_width")),
        max_link_gtps=parse_pcie_gtps(read_text(path / "max_link_speed")),
        max_link_width=parse_pcie_width(read_text(path / "max_link_width")),
        removable=read_text(path / "removable") == "removable",
    )
