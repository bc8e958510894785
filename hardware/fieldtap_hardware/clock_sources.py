"""Clocks of the kernel: adapter clocks against the system clock, pulses, TAI-UTC, leap seconds."""

import fcntl
import os
import re
import struct
import time
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.clock import ClockReading, read_clock
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Unreadable

NS = 1_000_000_000
SAMPLES = 10
MAX_SAMPLES = 25  # PTP_MAX_SAMPLES of linux/ptp_clock.h
PTP_SYS_OFFSET_EXTENDED = 0xC4C03D09  # _IOWR('=', 9, struct ptp_sys_offset_extended), 1216 bytes
STAMP = struct.Struct("qII")  # struct ptp_clock_time
REQUEST_BYTES = 16 + MAX_SAMPLES * 3 * STAMP.size
MAX_PHCS = 64
LEAP_SECONDS = Path("/usr/share/zoneinfo/leap-seconds.list")
NTP_TO_UNIX_S = 2_208_988_800  # 1900 to 1970
PULSE = re.compile(r"([0-9]{1,19})\.([0-9]{9})#([0-9]{1,10})")


class SystemOffset(Struct, frozen=True):
    """An adapter clock less the system clock, sure to `uncertainty_ns` either way."""

    offset_ns: int
    uncertainty_ns: int


class Phc(Struct, frozen=True):
    """An adapter clock, /dev/ptpN."""

    index: int
    name: str | None
    reading: ClockReading | Unreadable
    offset: SystemOffset | Unreadable


class Pps(Struct, frozen=True):
    """A source of pulses, /dev/ppsN; `sequence` counts its pulses, None before the first."""

    name: str
    source: str | None
    sequence: int | None
    pulse_ns: int | None  # UTC by the system clock


class LeapSeconds(Struct, frozen=True):
    """TAI less UTC now by a leap-seconds.list, and until when (Unix time) that list holds."""

    tai_utc_s: int
    expires_s: int


def read_phcs() -> tuple[Phc, ...]:
    """Every adapter clock of the machine."""
    folder = Path("/sys/class/ptp")
    names = [path.name.removeprefix("ptp") for path in folder.glob("ptp*")]
    indices = sorted(int(name) for name in names if name.isdecimal())
    return tuple(read_phc(index) for index in indices[:MAX_PHCS])


def read_phc(index: int) -> Phc:
    """One adapter clock; takes some 20 ms."""
    name = read_text(Path(f"/sys/class/ptp/ptp{index}/clock_name"))
    return Phc(index, name, read_clock(index), read_system_offset(index))


def read_system_offset(index: int) -> SystemOffset | Unreadable:
    """Have the kernel read the system clock right before and after the adapter's, a few times."""
    path = f"/dev/ptp{index}"
    request = bytearray(REQUEST_BYTES)
    struct.pack_into("I", request, 0, SAMPLES)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return Unreadable(f"{path}: {error.strerror}")
    try:
        fcntl.ioctl(descriptor, PTP_SYS_OFFSET_EXTENDED, request)
    except OSError as error:
        return Unreadable(f"{path}: PTP_SYS_OFFSET_EXTENDED: {error.strerror}")
    finally:
        os.close(descriptor)
    return parse_system_offset(bytes(request))


def parse_system_offset(answer: bytes) -> SystemOffset:
    """The sample whose two readings of the system clock lie closest together."""
    stamps = [s * NS + ns for s, ns, _ in STAMP.iter_unpack(answer[16:REQUEST_BYTES])]
    triples = [stamps[i : i + 3] for i in range(0, 3 * SAMPLES, 3)]
    before, adapter, after = min(triples, key=lambda triple: abs(triple[2] - triple[0]))
    return SystemOffset(adapter - (before + after) // 2, abs(after - before) // 2)


def read_pulses() -> tuple[Pps, ...]:
    """Every source of pulses of the machine."""
    return tuple(
        parse_pulse(folder.name, read_text(folder / "name"), read_text(folder / "assert"))
        for folder in sorted(Path("/sys/class/pps").glob("pps*"))
    )


def parse_pulse(name: str, source: str | None, asserted: str | None) -> Pps:
    """`asserted` is "SECONDS.NANOSECONDS#SEQUENCE", all 0 before the first pulse."""
    match = PULSE.fullmatch(asserted or "")
    if match is None or match[3] == "0":
        return Pps(name, source or None, None, None)
    return Pps(name, source or None, int(match[3]), int(match[1]) * NS + int(match[2]))


def read_tai_offset_s() -> int:
    """TAI less UTC as the kernel was told; 0 where nobody told it."""
    tai_ns, utc_ns = time.clock_gettime_ns(time.CLOCK_TAI), time.time_ns()
    return round((tai_ns - utc_ns) / NS)


def read_leap_seconds(path: Path = LEAP_SECONDS) -> LeapSeconds | Unreadable:
    """The list of the IERS that tzdata installs."""
    try:
        text = path.read_bytes()[: 1 << 16].decode("ascii", "replace")
    except OSError as error:
        return Unreadable(f"{path}: {error.strerror}")
    return parse_leap_seconds(text, int(time.time())) or Unreadable(f"{path}: not understood")


def parse_leap_seconds(text: str, now_s: int) -> LeapSeconds | None:
    """Lines of "NTP-SECONDS OFFSET # DATE"; "#@" is when the list expires."""
    expires_s: int | None = None
    steps = list[tuple[int, int]]()
    for line in text.splitlines():
        if line.startswith("#@"):
            expires_s = parse_int(line[2:].strip(), NTP_TO_UNIX_S, 1 << 40)
        words = line.partition("#")[0].split()
        since_s, offset_s = (parse_int(word, 0, 1 << 40) for word in (*words, "", "")[:2])
        if since_s is not None and offset_s is not None and since_s - NTP_TO_UNIX_S <= now_s:
            steps.append((since_s, offset_s))
    if expires_s is None or not steps:
        return None
    return LeapSeconds(max(steps)[1], expires_s - NTP_TO_UNIX_S)
