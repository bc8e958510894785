"""Tells when adapters, enclosures and clocks come and go.

Events are udev's, so a port has its final name and a device its rules applied when one is told.
"""

import pyudev
from msgspec import Struct

SUBSYSTEMS = ("net", "pci", "thunderbolt", "ptp")


class Change(Struct, frozen=True):
    """One device that came, went or changed."""

    action: str  # "add", "remove", "change", "move", "bind", ...
    subsystem: str
    name: str  # "eth2", "0000:01:00.0", "0-1", "ptp0"


class Watch:
    """Listens from the moment it is made. `fileno` is readable when `drain` has something."""

    def __init__(self) -> None:
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context())
        for subsystem in SUBSYSTEMS:
            self._monitor.filter_by(subsystem)
        self._monitor.start()

    def fileno(self) -> int:
        """For select and event loops."""
        return int(self._monitor.fileno())

    def drain(self, wait_s: float = 0) -> list[Change]:
        """Every change since the last call; waits up to `wait_s` for the first."""
        changes = []
        while (device := self._monitor.poll(wait_s)) is not None:
            changes.append(_change(device))
            wait_s = 0
        return changes


def _change(device: pyudev.Device) -> Change:
    try:
        return Change(device.action, device.subsystem, device.sys_name)
    except UnicodeDecodeError:  # a port may be called anything
        return Change("change", "net", "?")
