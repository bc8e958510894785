"""Is there room to capture, and for how long?"""

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.budget import (
    FCS_BYTES,
    LARGE_FRAME_BYTES,
    SMALL_FRAME_BYTES,
    frames_per_second,
)
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict
from fieldtap_hardware.words import duration_words, size_words

# An enhanced packet block of pcapng: its frame, and 20 bytes of header, lengths twice, and the
# options that carry direction flags.
BLOCK_BYTES = 32
OPTIONS_BYTES = 12

FAIL_BELOW_S = 10
WARN_BELOW_S = 600


class Storage(Struct, frozen=True, tag=True):
    """The file system under a directory for captures, as `df` counts it."""

    size_bytes: int
    available_bytes: int  # for an unprivileged writer
    writable: bool  # by this process


def read_storage(directory: Path) -> Storage | Unreadable:
    """The file system under `directory`; the reason where it cannot be told."""
    try:
        if not directory.is_dir():
            return Unreadable("is not a directory" if directory.exists() else "does not exist")
        figures = os.statvfs(directory)
    except OSError as error:
        return Unreadable(f"cannot be read: {error.strerror}")
    return Storage(
        size_bytes=figures.f_blocks * figures.f_frsize,
        available_bytes=figures.f_bavail * figures.f_frsize,
        writable=os.access(directory, os.W_OK | os.X_OK),
    )


def pcapng_bytes_per_second(speed_bps: float, frame_bytes: int) -> float:
    """What a capture of line rate in frames of `frame_bytes`, FCS included, writes to disk."""
    captured_bytes = frame_bytes - FCS_BYTES
    padded_bytes = (captured_bytes + 3) & ~3
    block_bytes = BLOCK_BYTES + padded_bytes + OPTIONS_BYTES
    return block_bytes * frames_per_second(speed_bps, frame_bytes)


def check_storage(directory: Path, storage: Storage | Unreadable, ports: Sequence[Port]) -> Check:
    """Judge the time until the disk is full at the line rate of all `ports`, one direction each.

    `fail` without a writable directory or below 10 seconds, `warn` below 10 minutes, `unknown`
    while the speed of a port is not known.
    """
    if isinstance(storage, Unreadable):
        remedy = f"make it a directory that can be read (`mkdir -p {directory}`), or name another"
        return _check(directory, Verdict.FAIL, storage.reason, {}, remedy)
    evidence = _evidence(storage, ports)
    if not storage.writable:
        remedy = f"let this user write there: `chgrp fieldtap {directory}`, `chmod g+w {directory}`"
        return _check(directory, Verdict.FAIL, "is not writable by this user", evidence, remedy)
    seconds_left = _seconds_left(storage, line_rate_bps(ports), SMALL_FRAME_BYTES)
    unknown = [port.name for port in ports if port.speed_bps is None]
    free = f"{size_words(storage.available_bytes)} free"
    remedy = "free some space, name a directory on a larger disk, or keep a ring of files"
    if not storage.available_bytes:
        return _check(directory, Verdict.FAIL, "is full", evidence, remedy)
    if seconds_left is None or (unknown and seconds_left >= FAIL_BELOW_S):
        why = f"the speed of {', '.join(unknown)} is not known" if unknown else "no port was named"
        summary = f"{free}; {why}, so the time left is not known either"
        return _check(directory, Verdict.UNKNOWN, summary, evidence)
    summary = f"{free}, {duration_words(seconds_left)} of line rate in 64-byte frames"
    if seconds_left >= WARN_BELOW_S:
        return _check(directory, Verdict.OK, summary, evidence)
    verdict = Verdict.FAIL if seconds_left < FAIL_BELOW_S else Verdict.WARN
    return _check(directory, verdict, summary, evidence, remedy)


def _evidence(storage: Storage, ports: Sequence[Port]) -> Evidence:
    evidence: Evidence = {
        "size_bytes": storage.size_bytes,
        "available_bytes": storage.available_bytes,
        "writable": storage.writable,
        "line_rate_bps": line_rate_bps(ports),
        "ports_of_unknown_speed": [port.name for port in ports if port.speed_bps is None],
    }
    for frame_bytes in (SMALL_FRAME_BYTES, LARGE_FRAME_BYTES):
        rate = pcapng_bytes_per_second(line_rate_bps(ports), frame_bytes)
        seconds_left = _seconds_left(storage, line_rate_bps(ports), frame_bytes)
        evidence[f"bytes_per_second_{frame_bytes}_byte_frames"] = round(rate)
        evidence[f"seconds_left_{frame_bytes}_byte_frames"] = seconds_left
    return evidence


def line_rate_bps(ports: Sequence[Port]) -> int:
    """What all `ports` receive together; one of unknown speed counts nothing."""
    return sum(port.speed_bps or 0 for port in ports)


def _seconds_left(storage: Storage, line_rate_bps: int, frame_bytes: int) -> int | None:
    """Whole seconds; None while no port has a speed. Small frames fill the disk fastest."""
    rate = pcapng_bytes_per_second(line_rate_bps, frame_bytes)
    return int(storage.available_bytes / rate) if rate else None


def _check(
    directory: Path, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check("storage.space", os.fspath(directory), verdict, summary, evidence, remedy)
