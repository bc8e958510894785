"""What an update would do: which adapter, which image, which program, and the machine around it."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.adapters import identify, read_catalogue
from fieldtap_hardware.firmware import (
    Firmware,
    devlink_handle,
    read_controllers,
    read_every_path,
)
from fieldtap_hardware.firmware_images import Image
from fieldtap_hardware.firmware_tools import TOOLS, FirmwareTool
from fieldtap_hardware.firmware_versions import is_newer, same
from fieldtap_hardware.licenses import read_licenses
from fieldtap_hardware.ports import Port, read_ports
from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.writing import Patience

STATE = Path("/var/lib/fieldtap/firmware")
IP_TIMEOUT_S = 10
TELL_RUNNING = ("devlink", "ethtool ioctl", "fwupdmgr")


class UpdateError(Exception):
    """An update cannot be planned, or not now; the text says why and what to do."""


class State(Struct, frozen=True, kw_only=True):
    """What the adapter tells: compared before and after."""

    firmware: tuple[Firmware, ...]  # a path each, best first
    clocks: dict[str, bool]  # by port: does the driver offer an adapter clock?
    licenses: dict[str, str]  # "eth2 timestamps": "licensed"

    @property
    def running(self) -> str | None:
        """What runs, by the best path that knows; a vendor's tool may read the flash instead."""
        told = [found.running for found in self.firmware if found.channel in TELL_RUNNING]
        return next((version for version in told if version), None)

    def stored(self, channel: str | None) -> str | None:
        """What `channel`, which reads the flash, says is stored."""
        for found in self.firmware:
            if found.channel == channel:
                reads_flash = channel not in TELL_RUNNING
                return found.stored or (found.running if reads_flash else None)
        return None

    def paths_to(self, version: str) -> list[str]:
        """The paths that say that `version` runs."""
        return [
            found.channel
            for found in self.firmware
            if found.channel in TELL_RUNNING and same(found.running, version)
        ]


class Plan(Struct, frozen=True, kw_only=True):
    """One update, as it is written into the journal."""

    target: str  # the port, or fwupd's name of a device
    adapter: str | None  # in words
    handle: str  # "pci/0000:01:00.0", or fwupd's id
    word: str  # what must be typed to confirm
    ports: tuple[str, ...]  # every port of the adapter
    up: tuple[str, ...]  # those that are up, and go down meanwhile
    device_id: str | None  # "1924:0903"; the driver's name off PCI
    family: str | None  # in the catalogue of adapters
    removable: bool  # it sits behind a cable
    image: Image
    newer: bool | None  # than what runs; None where that cannot be told
    command: tuple[str, ...]  # that writes, before the image's place is known
    before: State

    @property
    def tool(self) -> FirmwareTool:
        return TOOLS[self.image.tool]


def take_ip(*words: str) -> None:
    """Run `ip`. Raises UpdateError with its words."""
    command = ["ip", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=IP_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"`{' '.join(command)}`: {error}") from error
    if done.returncode != 0:
        raise UpdateError(f"`{' '.join(command)}`: {done.stderr.strip()}")


def switch(port: str, *, up: bool) -> None:
    """Switch a port on or off. Raises UpdateError."""
    take_ip("link", "set", "dev", port, "up" if up else "down")


def no_engines() -> list[str]:
    return []


@dataclass(frozen=True)
class Machine:
    """Everything that the flow asks or touches, so that tests can put something else there."""

    ports: Callable[[], Sequence[Port]] = read_ports
    ask: Ask = ask_program
    engines: Callable[[], list[str]] = no_engines  # engines that run now, in words
    switch: Callable[..., None] = switch
    say: Callable[[str], None] = print
    patience: Patience = field(default_factory=Patience)
    state: Path = STATE  # journals; outlasts a power cut where it is on a disk
    firmware_dir: Path = Path("/lib/firmware")
    power: Path = Path("/sys/class/power_supply")
    packet_sockets: Path = Path("/proc/net/packet")
    is_root: Callable[[], bool] = lambda: os.geteuid() == 0


def make_plan(target: str, image: Image, machine: Machine) -> Plan:
    """Plan an update of the adapter of port `target`, or of fwupd's device. Raises UpdateError."""
    if image.tool not in TOOLS:
        known = ", ".join(TOOLS)
        raise UpdateError(f"no program {image.tool!r} is known that writes; there are: {known}")
    tool = TOOLS[image.tool]
    if not tool.drivers:
        return _plan_for_controller(target, image, machine)
    inventory = machine.ports()
    port = next((port for port in inventory if port.name == target), None)
    if port is None or port.virtual or port.bus_address is None:
        names = ", ".join(port.name for port in inventory if not port.virtual) or "none"
        raise UpdateError(f"no port of an adapter is called {target!r}; there are: {names}")
    ports = [other for other in inventory if adapter_of(other) == adapter_of(port)]
    before = read_state(devlink_handle(port), image.component, machine)
    words = {
        "port": port.name,
        "mac": (port.mac or "").replace(":", "").upper(),
        "handle": devlink_handle(port),
        "address": port.bus_address,
    }
    newer = is_newer(image.version, before.running)
    identity = identify(port, read_catalogue().families)
    return Plan(
        target=target,
        adapter=port.model,
        handle=devlink_handle(port),
        word=port.bus_address,
        ports=tuple(port.name for port in ports),
        up=tuple(port.name for port in ports if port.up),
        device_id=port.pci[0].device_id if port.pci else port.driver,
        family=identity.title if identity else None,
        removable=any(function.removable for function in port.pci),
        image=image,
        newer=newer,
        command=_command(tool, image, words, newer=newer),
        before=before,
    )


def _plan_for_controller(target: str, image: Image, machine: Machine) -> Plan:
    found = [it for it in read_controllers(machine.ask) if target in (it.subject, it.device)]
    if len(found) != 1 or found[0].device is None:
        raise UpdateError(f"fwupd knows no single device {target!r}; see `fieldtap firmware`")
    device = found[0].device
    newer = is_newer(image.version, found[0].running)
    tool = TOOLS[image.tool]
    return Plan(
        target=target,
        adapter=found[0].adapter,
        handle=device,
        word=found[0].subject,
        ports=(),
        up=(),
        device_id=device,
        family="Thunderbolt controller",
        removable=False,
        image=image,
        newer=newer,
        command=_command(tool, image, {"device": device}, newer=newer),
        before=State(firmware=(found[0],), clocks={}, licenses={}),
    )


def _command(
    tool: FirmwareTool, image: Image, words: dict[str, str], *, newer: bool | None
) -> tuple[str, ...]:
    parts = tool.write + (() if newer else tool.not_newer)
    if image.component is not None:
        parts += tool.component
    later = {name: f"{{{name}}}" for name in ("image", "folder")}  # known once it is locked
    known = words | later | {"component": image.component or ""}
    return tuple(part.format(**known) for part in parts)


def adapter_of(port: Port) -> str | None:
    """What the ports of one adapter share: the slot; PCI functions of it differ only in number."""
    if port.virtual or port.bus_address is None:
        return None
    handle = devlink_handle(port)
    return handle.rpartition(".")[0] if port.pci else handle


def read_state(handle: str, component: str | None, machine: Machine) -> State:
    """What the adapter with this handle tells now; empty where it is gone."""
    ports = [port for port in machine.ports() if adapter_of(port)]
    mine = next((port for port in ports if devlink_handle(port) == handle), None)
    if mine is None:
        told = [found for found in read_controllers(machine.ask) if found.device == handle]
        return State(firmware=tuple(told), clocks={}, licenses={})
    together = [port for port in ports if adapter_of(port) == adapter_of(mine)]
    licenses = read_licenses(together, machine.ask)
    return State(
        firmware=tuple(read_every_path(mine, machine.ask, component)),
        clocks={port.name: _has_clock(port) for port in together},
        licenses={f"{found.port} {found.feature}": str(found.state) for found in licenses},
    )


def _has_clock(port: Port) -> bool:
    return port.timestamping is not None and port.timestamping.phc_index is not None
