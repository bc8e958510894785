"""Everything that the checks judge, as one value: taken here, or recorded on another machine."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.budget import Ceiling
from fieldtap_hardware.bypass import Relay, read_relay
from fieldtap_hardware.clock import ClockReading, read_clock
from fieldtap_hardware.clock_checks import read_report
from fieldtap_hardware.drives import Drive, read_drive
from fieldtap_hardware.drops import DropMeter, Drops
from fieldtap_hardware.engine import Program, read_program
from fieldtap_hardware.interrupts import Interrupts, read_interrupts
from fieldtap_hardware.loops import LoopRun
from fieldtap_hardware.optics import Module, read_module
from fieldtap_hardware.ports import LIVE, Kernel, Port
from fieldtap_hardware.power import (
    Supply,
    Throttling,
    compare_throttling,
    read_supplies,
    read_throttling,
)
from fieldtap_hardware.processor import Processor, read_processor
from fieldtap_hardware.programs import Ask
from fieldtap_hardware.sending import SendMeter, Sent, read_firmware_lldp
from fieldtap_hardware.storage import Storage, read_storage
from fieldtap_hardware.sysfs import clean_text
from fieldtap_hardware.thunderbolt import Tree, read_tree
from fieldtap_hardware.verdicts import Check, Unreadable
from fieldtap_hardware.write_rate import RunningCapture, WriteRun


class PortReading(Struct, frozen=True, kw_only=True):
    """What is known of one port beyond the inventory."""

    module: Module | Unreadable | None
    drops: Drops
    sent: Sent | None
    firmware_lldp: bool | None
    relay: Relay | Unreadable | None
    interrupts: Interrupts


class Readings(Struct, frozen=True, kw_only=True):
    """One machine at one time.

    `drive` is None where no program was to be asked. What has a default is filled in by whoever can
    start and find engines.
    """

    taken_ns: int
    ports: tuple[Port, ...]
    of_port: dict[str, PortReading]
    tree: Tree
    clocks: dict[int, ClockReading | Unreadable]
    processor: Processor
    supplies: tuple[Supply, ...]
    throttling: Throttling | None
    directory: str
    storage: Storage | Unreadable
    drive: Drive | Unreadable | None
    programs: dict[str, Program]
    time_checks: tuple[Check, ...] = ()  # how time is kept, as it was judged on the spot
    write_run: WriteRun | Unreadable | None = None
    captures: tuple[RunningCapture, ...] = ()
    loops: tuple[LoopRun, ...] = ()
    measured: dict[str, Ceiling] = {}  # by the hop's name, earlier and now


def take_readings(
    ports: Sequence[Port],
    directory: Path,
    programs: Sequence[Path] = (),
    kernel: Kernel = LIVE,
    ask: Ask | None = None,
) -> Readings:
    """Read the machine under `ports`; nothing is changed and nothing is sent.

    `ask` runs vendors' and drives' programs; None runs none. Takes `sending.INTERVAL_S`, some 20 ms
    for each adapter clock and each transceiver, up to three Sync intervals for a silent PTP master,
    and what those programs take.
    """
    losses, meter, throttled = (
        DropMeter(ports, kernel.ask_driver),
        SendMeter(ports),
        read_throttling(),
    )
    clocks = {port.timestamping.phc_index for port in ports if port.timestamping}
    read = {
        index: read_clock(index) for index in sorted(index for index in clocks if index is not None)
    }
    drive = None if ask is None else read_drive(directory, ask)
    sent, drops = meter.read(), losses.read()
    return Readings(
        taken_ns=time.time_ns(),
        ports=tuple(ports),
        of_port={
            port.name: PortReading(
                module=read_module(port.name, kernel.ask_driver),
                drops=drops[port.name],
                sent=sent[port.name],
                firmware_lldp=read_firmware_lldp(port, kernel.ask_driver),
                relay=read_relay(port, ask),
                interrupts=read_interrupts(port),
            )
            for port in ports
        },
        tree=read_tree(),
        clocks=read,
        processor=read_processor(),
        supplies=read_supplies(),
        throttling=compare_throttling(throttled, read_throttling()),
        directory=clean_text(os.fsencode(directory)),
        storage=read_storage(directory),
        drive=drive,
        programs={str(path): read_program(path) for path in programs},
        time_checks=tuple(read_report().checks),
    )
