"""Counts, causes and times in words; for tables, the console and messages alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fieldtap_core.messages import (
    CapturePort,
    Dropped,
    GenerateStatus,
    ReflectStatus,
    Status,
)
from fieldtap_core.reports import FileRecord, PortLedger


@dataclass(frozen=True)
class Cause:
    """One of the ledger's places where frames are lost, explained."""

    key: str
    where: str
    meaning: str
    remedy: str


CAUSES = (
    Cause("adapter", "adapter", "the adapter had no host buffer left", "enlarge its rings"),
    Cause("kernel", "kernel buffer", "the engine got too little processor", "enlarge --buffer"),
    Cause("ring", "engine blocks", "the disk was behind", "use a faster disk"),
    Cause("disk", "disk", "the disk is full or failed", "free space, start a new capture"),
)

MAX_FILE_LINES = 10

Ledger = CapturePort | PortLedger
FCS_BYTES = 4
Counter = Callable[[Status], int]


def count(number: int) -> str:
    """12345678 as "12,345,678"."""
    return f"{number:,}"


def scaled(number: float, unit: str) -> str:
    """1234567 as "1.23 M" and the unit; powers of 1000."""
    for prefix in ("", "k", "M", "G"):
        if abs(number) < 999.5:
            return f"{number:.3g} {prefix}{unit}"
        number /= 1000
    return f"{number:.3g} T{unit}"


def seconds(ns: int) -> str:
    """A duration in nanoseconds as "1:02:03"."""
    whole = max(0, ns) // 1_000_000_000
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def utc(ns: int) -> str:
    """A time in nanoseconds UTC as date and time, to tenths of a second."""
    whole, rest_ns = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%d %H:%M:%S}.{rest_ns // 100_000_000} UTC"


def drops(dropped: Dropped) -> str:
    """Every drop by its cause, or "none lost"."""
    lost = [(cause, getattr(dropped, cause.key)) for cause in CAUSES]
    named = [
        f"{count(frames)} at {cause.where} ({cause.meaning})" for cause, frames in lost if frames
    ]
    return ", ".join(named) or "none lost"


def ledger_line(port: Ledger) -> str:
    """One port's ledger in a line."""
    parts = [f"{count(port.offered)} offered", f"{count(port.stored)} stored"]
    if port.filtered:
        parts.append(f"{count(port.filtered)} filtered out")
    if port.excess:
        parts.append(f"{count(port.excess)} after the stop condition")
    return f"{port.port}: {', '.join(parts)}, {drops(port.dropped)}"


def target(status: Status) -> str:
    """Where a run writes to or sends."""
    if isinstance(status, GenerateStatus):
        return status.tx.port
    return status.port if isinstance(status, ReflectStatus) else status.output


def frames(status: Status) -> int:
    """Frames stored, sent or sent back so far."""
    if isinstance(status, GenerateStatus):
        return status.tx.frames
    if isinstance(status, ReflectStatus):
        return status.reflected
    return sum(port.stored for port in status.ports)


def captured_bytes(status: Status) -> int:
    """Captured bytes so far, or those sent, with FCS as the generator's rates have it."""
    if isinstance(status, GenerateStatus):
        return status.tx.bytes + FCS_BYTES * status.tx.frames
    if isinstance(status, ReflectStatus):
        return status.bytes
    return sum(port.bytes_stored for port in status.ports)


def port_names(status: Status) -> str:
    """The ports of a run, by comma."""
    if isinstance(status, GenerateStatus):
        return ", ".join([status.tx.port, *([status.rx.port] if status.rx else [])])
    if isinstance(status, ReflectStatus):
        return status.port
    return ", ".join(port.port for port in status.ports)


def file_lines(files: Sequence[FileRecord]) -> list[str]:
    """Each file and its frames; of many files the first and the last, and all in a sum."""
    lines = [f"{file.path}: {count(file.packets)} frames" for file in files]
    if len(lines) <= MAX_FILE_LINES:
        return lines
    total = count(sum(file.packets for file in files))
    return [lines[0], f"... {count(len(lines))} files, {total} frames in all ...", lines[-1]]


def balance(balanced: bool | None) -> str:
    """What the sum of the ledger came to."""
    if balanced is None:
        return "cannot be proved: a figure was derived"
    return "balances" if balanced else "DOES NOT BALANCE"
