"""Which firmware each port runs, and whether another is stored: read by the best channel there is.

Channels, best first: devlink tells running and stored; a vendor's tool (sfupdate, mstfwmanager,
nvmupdate64e) knows its own adapters; the driver's string by the ethtool ioctl is always there.
fwupd adds Thunderbolt controllers, which have no port.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from fieldtap_hardware.adapter_checks import OWN_FILE, judge_firmware
from fieldtap_hardware.adapters import Family
from fieldtap_hardware.explain import explain
from fieldtap_hardware.explain.model import Item
from fieldtap_hardware.explain.text import key_of
from fieldtap_hardware.ports import Port
from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.verdicts import Check, Unreadable, Verdict

DEVLINK = ("devlink", "-j", "dev", "info")
FWUPD = ("fwupdmgr", "get-devices", "--json")
SFUPDATE = ("sfupdate",)
MSTFWMANAGER = ("mstfwmanager", "--query", "--query-format", "XML")
NVMUPDATE = ("nvmupdate64e", "-i", "-l")

THUNDERBOLT_PLUGINS = ("thunderbolt", "intel_usb4")
# The component that stands for the adapter, where devlink tells several.
MAIN_COMPONENTS = ("fw_version", "fw", "fw_mgmt", "fw_bundle_id")
RESET = "reset the adapter: power it off and on (an enclosure by its own plug), not only reboot"


class Firmware(Struct, frozen=True, kw_only=True):
    """Firmware of one port, or of a device without one. Versions are as printed."""

    subject: str  # the port, or the device's name
    adapter: str | None  # what it is, in words
    device: str | None  # its address on the bus
    running: str | None
    stored: str | None  # None where the channel does not tell
    available: str | None  # a newer image that the vendor's tool carries
    channel: str


Versions = dict[str, Firmware]
"""What one channel knows, by the port's name."""


def read_firmware(ports: Sequence[Port], ask: Ask = ask_program) -> list[Firmware]:
    """The firmware of every port with an adapter beneath it, then of Thunderbolt controllers.

    Runs readers that are installed and fit a port; takes as long as they do, at most 30 s each.
    """
    real = [port for port in ports if not port.virtual and port.bus != "virtio"]
    known: Versions = {}
    for drivers, command, tool, read in CHANNELS:
        if any((port.driver or "").startswith(drivers) for port in real):
            found = read(_items(ask, command, tool), real, command[0])
            known = found | known  # a better channel came before
    return [known.get(port.name) or driver_string(port) for port in real] + read_controllers(ask)


def read_every_path(
    port: Port, ask: Ask = ask_program, component: str | None = None
) -> list[Firmware]:
    """What each channel that fits a port says of its firmware, the driver's own string last.

    `component` is a part of the firmware that devlink tells apart ("fw.mgmt").
    """
    told: list[Firmware] = []
    for drivers, command, tool, read in CHANNELS:
        if (port.driver or "").startswith(drivers):
            items = _items(ask, command, tool)
            if component is not None and read is _from_devlink:
                found = _from_devlink(items, [port], command[0], key_of(component))
            else:
                found = read(items, [port], command[0])
            told += found.values()
    return [*told, driver_string(port)]


def read_controllers(ask: Ask = ask_program) -> list[Firmware]:
    """The firmware of Thunderbolt controllers, which fwupd knows."""
    return [
        Firmware(
            subject=item.text("name") or item.subject,
            adapter=item.text("vendor"),
            device=item.subject,
            running=item.text("version"),
            stored=None,
            available=None,
            channel=FWUPD[0],
        )
        for item in _items(ask, FWUPD, "fwupd")
        if (item.text("plugin") or "").startswith(THUNDERBOLT_PLUGINS)
    ]


def devlink_handle(port: Port) -> str:
    """What devlink calls the adapter of a port: "pci/0000:01:00.0"."""
    return f"{'pci' if port.pci else port.bus}/{port.bus_address}"


def check_firmware(firmware: Firmware, family: Family | None = None) -> Check:
    """`ok` where what is stored runs and the adapter's `family` has nothing against it.

    `warn` where other firmware waits for a reset, `unknown` for an adapter that is in no family of
    the catalogue, else by `judge_firmware`. A controller without a port has no family.
    """
    verdict, summary = Verdict.OK, f"runs {firmware.running}"
    remedy: str | None = None
    if firmware.running is None:
        verdict, summary = Verdict.UNKNOWN, "does not tell its firmware"
        remedy = "install the vendor's tool, and run this as root"
    elif firmware.stored not in (None, firmware.running):
        verdict, remedy = Verdict.WARN, RESET
        summary = f"runs {firmware.running}; {firmware.stored} is stored, not running"
    elif family is not None:
        verdict, summary, remedy = judge_firmware(firmware.running, family)
    elif firmware.channel != FWUPD[0]:
        verdict, remedy = Verdict.UNKNOWN, OWN_FILE
        summary += "; the catalogue does not have the adapter"
    if firmware.available:
        summary += f"; {firmware.channel} carries {firmware.available}"
    return Check(
        id="port.firmware",
        subject=firmware.subject,
        verdict=verdict,
        summary=summary,
        evidence={
            "adapter": firmware.adapter,
            "device": firmware.device,
            "running": firmware.running,
            "stored": firmware.stored,
            "available": firmware.available,
            "channel": firmware.channel,
        },
        remedy=remedy,
    )


def _items(ask: Ask, command: Sequence[str], tool: str) -> tuple[Item, ...]:
    """What a tool printed, where it was whole; firmware is not read from half a listing."""
    output = ask(command)
    if isinstance(output, Unreadable):
        return ()
    explanation = explain(tool, output)
    return explanation.items if explanation.verdict == Verdict.OK else ()


def driver_string(port: Port) -> Firmware:
    """What the driver says, without asking any program."""
    return _firmware(port, "ethtool ioctl", port.firmware)


def _firmware(
    port: Port,
    channel: str,
    running: str | None,
    stored: str | None = None,
    available: str | None = None,
) -> Firmware:
    return Firmware(
        subject=port.name,
        adapter=port.model,
        device=port.bus_address,
        running=running,
        stored=stored,
        available=available,
        channel=channel,
    )


def _from_devlink(
    items: Iterable[Item], ports: Sequence[Port], channel: str, component: str | None = None
) -> Versions:
    by_handle = {item.subject: item for item in items}
    found: Versions = {}
    for port in ports:
        item = by_handle.get(devlink_handle(port))
        if item is None:
            continue
        names = [key.removeprefix("running_") for key in item.values if key.startswith("running_")]
        waiting = [
            name for name in names if _stored(item, name) not in (None, _running(item, name))
        ]
        main = [name for name in MAIN_COMPONENTS if name in names]
        if component is not None:
            waiting, main, names = [], [], [component]
        for name in (*waiting, *main, *names)[:1]:  # one that waits for a reset is told first
            running, stored = _running(item, name), _stored(item, name)
            found[port.name] = _firmware(port, channel, running, stored)
    return found


def _running(item: Item, component: str) -> str | None:
    return item.text(f"running_{component}")


def _stored(item: Item, component: str) -> str | None:
    return item.text(f"stored_{component}")


def _from_sfupdate(items: Iterable[Item], ports: Sequence[Port], channel: str) -> Versions:
    by_port = {item.subject: item for item in items}
    found: Versions = {}
    for port in ports:
        if item := by_port.get(port.name):
            newer = [key for key in item.values if key.startswith("available_")]
            running = item.text("bundle_version", "firmware_version", "controller_version")
            available = item.text(*newer) if newer else None
            found[port.name] = _firmware(port, channel, running, available=available)
    return found


def _from_mstfwmanager(items: Iterable[Item], ports: Sequence[Port], channel: str) -> Versions:
    by_address = {item.subject: item for item in items}
    found: Versions = {}
    for port in ports:
        if item := by_address.get(port.bus_address or ""):
            available = item.text("fw_available")
            running = item.text("fw_current")
            newer = available if available not in ("N/A", running) else None
            found[port.name] = _firmware(port, channel, running, available=newer)
    return found


def _from_nvmupdate(items: Iterable[Item], ports: Sequence[Port], channel: str) -> Versions:
    by_bus = {item.subject: item for item in items}
    found: Versions = {}
    for port in ports:
        parts = (port.bus_address or "").split(":")
        if port.bus != "pci" or len(parts) != 3:
            continue
        segment_and_bus = f"{int(parts[0], 16):02d}:{int(parts[1], 16):03d}"  # decimal, it prints
        if item := by_bus.get(segment_and_bus):
            available = "an update" if item.text("status") == "Update available" else None
            found[port.name] = _firmware(port, channel, item.text("ver_hex"), available=available)
    return found


Reader = Callable[[Iterable[Item], Sequence[Port], str], Versions]
CHANNELS: tuple[tuple[tuple[str, ...], Sequence[str], str, Reader], ...] = (
    (("",), DEVLINK, "devlink", _from_devlink),
    (("sfc", "xilinx_efct"), SFUPDATE, "sfupdate", _from_sfupdate),
    (("mlx",), MSTFWMANAGER, "mstfwmanager", _from_mstfwmanager),
    (("ixgbe", "i40e", "ice", "igb", "igc", "e1000e"), NVMUPDATE, "nvmupdate", _from_nvmupdate),
)
"""Drivers that it knows, command, parser, and what turns items into versions; best first."""
