"""Who stamps the frames of a port, and does the adapter's clock move?

A driver may promise adapter stamps and register a clock that stands still (QEMU's e1000e does), so
the promise is worth nothing until its clock was seen to advance.
"""

import os
import time

from msgspec import Struct

from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict

INTERVAL_S = 0.02
TOLERANCE = 0.1  # of the interval: reading takes time, and standing still is what we look for


class ClockReading(Struct, frozen=True, tag=True):
    """How far an adapter clock moved while the host's monotonic clock moved `elapsed_ns`."""

    phc_index: int
    advanced_ns: int
    elapsed_ns: int

    @property
    def moves(self) -> bool:
        return abs(self.advanced_ns - self.elapsed_ns) <= TOLERANCE * self.elapsed_ns


def read_clock(phc_index: int) -> ClockReading | Unreadable:
    """Read /dev/ptpN twice; the reason where it cannot be read."""
    path = f"/dev/ptp{phc_index}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return Unreadable(f"{path}: {error.strerror}")
    try:
        clock = (~descriptor << 3) | 3  # FD_TO_CLOCKID of the kernel's PTP documentation
        started_ns, first_ns = time.monotonic_ns(), time.clock_gettime_ns(clock)
        time.sleep(INTERVAL_S)
        stopped_ns, second_ns = time.monotonic_ns(), time.clock_gettime_ns(clock)
    except OSError as error:
        return Unreadable(f"{path}: {error.strerror}")
    finally:
        os.close(descriptor)
    return ClockReading(phc_index, second_ns - first_ns, stopped_ns - started_ns)


def check_timestamps(port: Port, clocks: dict[int, ClockReading | Unreadable]) -> Check:
    """`ok` where the adapter stamps every frame by a clock that was seen to move.

    `fail` where that clock stands still, `unknown` where it cannot be read, `warn` where a real
    port has only the host's stamps; a virtual port can have no others. `clocks` are by index.
    """
    stamping = port.timestamping
    if stamping is None:
        return _check(port, Verdict.UNKNOWN, "does not tell what it can stamp", {})
    index = stamping.phc_index
    clock = None if index is None else clocks.get(index)
    evidence: Evidence = {
        "adapter_rx_every_frame": stamping.adapter_rx_all,
        "adapter_rx": stamping.adapter_rx,
        "adapter_tx": stamping.adapter_tx,
        "host_rx": stamping.host_rx,
        "phc_index": index,
        "clock_advanced_ns": clock.advanced_ns if isinstance(clock, ClockReading) else None,
        "clock_elapsed_ns": clock.elapsed_ns if isinstance(clock, ClockReading) else None,
    }
    if not stamping.adapter_rx_all or index is None:
        if port.virtual:
            summary = "is virtual: the host stamps its frames"
            return _check(port, Verdict.NOT_APPLICABLE, summary, evidence)
        which = "only PTP's frames" if stamping.adapter_rx else "no frames"
        summary = f"its adapter stamps {which}: the host stamps, to a microsecond or so"
        remedy = "for nanoseconds, use an adapter that stamps every received frame"
        return _check(port, Verdict.WARN, summary, evidence, remedy)
    says = "its adapter says that it stamps every frame"
    if not isinstance(clock, ClockReading):
        why = clock.reason if clock else f"/dev/ptp{index} was not read"
        remedy = f"see that /dev/ptp{index} is there, and check again as a user who may read it"
        return _check(port, Verdict.UNKNOWN, f"{says}; {why}", evidence, remedy)
    if not clock.moves:
        remedy = "capture with the host's stamps: `ft-capture -t host`"
        summary = f"{says}, but its clock, /dev/ptp{index}, does not keep time"
        return _check(port, Verdict.FAIL, summary, evidence, remedy)
    summary = f"its adapter stamps every received frame by /dev/ptp{index}"
    return _check(port, Verdict.OK, summary, evidence)


def _check(
    port: Port, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check("port.timestamps", port.name, verdict, summary, evidence, remedy)
