"""What `fieldtap check --measure` found earlier, kept for later checks.

In `measured.json` in $FIELDTAP_STATE_DIR, else /var/lib/fieldtap, else $XDG_STATE_HOME/fieldtap:
the first that this user can write. A figure belongs to the machine, slot and enclosure, or to the
file system, that it was measured on, for the appliance's stick goes from laptop to laptop.
"""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from fieldtap_hardware.bandwidth import Way
from fieldtap_hardware.budget import Ceiling
from fieldtap_hardware.loops import LoopRun, ceilings
from fieldtap_hardware.ports import Port
from fieldtap_hardware.sysfs import read_bytes, read_text
from fieldtap_hardware.thunderbolt import Tree, attribute, tunnels
from fieldtap_hardware.write_rate import WriteRun
from msgspec import Struct

SYSTEM_STATE_DIR = Path("/var/lib/fieldtap")
FILE = "measured.json"
MAX_BYTES = 1 << 20
DMI = Path("/sys/class/dmi/id")


class Measured(Struct, frozen=True):
    """Everything that was measured: ceilings by place and hop, write runs by file system."""

    schema: Literal["fieldtap.measured/1"] = "fieldtap.measured/1"
    ceilings: dict[str, dict[str, Ceiling]] = {}
    writes: dict[str, WriteRun] = {}


def state_dirs() -> list[Path]:
    """Where the file may be, the first that can be written wins."""
    if explicit := os.environ.get("FIELDTAP_STATE_DIR"):
        return [Path(explicit)]
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return [SYSTEM_STATE_DIR, Path(state) / "fieldtap"]


def load() -> Measured:
    """What is kept; a file that cannot be read or understood counts as none."""
    for directory in state_dirs():
        kept = read_bytes(directory / FILE, MAX_BYTES)
        with contextlib.suppress(msgspec.MsgspecError):
            if kept is not None:
                return msgspec.json.decode(kept, type=Measured)
    return Measured()


def save(measured: Measured) -> Path | None:
    """Keep it, whole or not at all; returns where, None where no folder can be written."""
    for directory in state_dirs():
        with contextlib.suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
                file.write(msgspec.json.format(msgspec.json.encode(measured)))
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            return Path(file.name).replace(directory / FILE)
    return None


def place(port: Port, tree: Tree) -> str:
    """Where a port's adapter sits: machine, address, and the enclosure where that is certain."""
    words = (read_text(DMI / name) for name in ("sys_vendor", "product_name"))
    machine = " ".join(word for word in words if word) or "a machine without a name"
    attribution = attribute(port, tree)
    enclosure = attribution.enclosure if attribution else None
    adapter = port.pci[0].device_id if port.pci else "no PCI"
    inside = (enclosure.unique_id or enclosure.name) if enclosure else "the machine"
    return f"{machine}: {adapter} at {port.bus_address} in {inside}"


def file_system(directory: Path) -> str:
    """A name for the file system under `directory`. Raises `OSError`."""
    figures = os.statvfs(directory)
    return f"{figures.f_fsid:016x} of {figures.f_blocks * figures.f_frsize} bytes"


def with_loops(
    measured: Measured, runs: Sequence[LoopRun], ports: Sequence[Port], tree: Tree
) -> Measured:
    """The same with the ceilings that `runs` prove."""
    way = Way(tunnels=tunnels(ports, tree))
    found = dict(measured.ceilings)
    for port in ports:
        if proven := ceilings(runs, port, ports, way):
            found[place(port, tree)] = proven
    return msgspec.structs.replace(measured, ceilings=found)


def ceilings_of(measured: Measured, ports: Sequence[Port], tree: Tree) -> dict[str, Ceiling]:
    """The ceilings that hold for `ports` as they are plugged in now, by the hop's name."""
    found: dict[str, Ceiling] = {}
    for port in ports:
        found |= measured.ceilings.get(place(port, tree), {})
    return found
