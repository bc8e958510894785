"""Does the disk take what the ports can deliver, and for how long?

Judged by what the engine's own writer was seen to write: a drive's first seconds go to a fast
cache, so the rate of the last quarter counts, and how it fell is told (the write cliff).
"""

from collections.abc import Sequence

from msgspec import Struct

from fieldtap_hardware.budget import COMFORTABLE, LARGE_FRAME_BYTES, SMALL_FRAME_BYTES
from fieldtap_hardware.ports import Port
from fieldtap_hardware.storage import (
    FAIL_BELOW_S,
    WARN_BELOW_S,
    Storage,
    line_rate_bps,
    pcapng_bytes_per_second,
)
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict
from fieldtap_hardware.words import duration_words, size_words

CLIFF = 0.6  # of the rate before: a fall below it is not the disk's usual unevenness
SHORTEST_S = 1e-3  # what took less has no rate
FEWEST_INTERVALS = 8  # to tell a first and a last quarter
MEASURE = "measure it: `fieldtap check --measure`"


class Interval(Struct, frozen=True):
    """What was written in a part of the run."""

    seconds: float
    bytes: int

    @property
    def bytes_per_second(self) -> float:
        return _rate(self.bytes, self.seconds)


class WriteRun(Struct, frozen=True, kw_only=True, tag=True):
    """One run of the writer, in order of time."""

    measured_ns: int  # when, UTC
    intervals: tuple[Interval, ...]
    disk_was_the_limit: bool  # else the source was, and the disk may be faster

    @property
    def bytes(self) -> int:
        return sum(interval.bytes for interval in self.intervals)

    @property
    def seconds(self) -> float:
        return sum(interval.seconds for interval in self.intervals)


class Rates(Struct, frozen=True):
    """Bytes a second over the first and last quarter of a run, and where it fell."""

    first: float
    last: float
    cliff_bytes: int | None  # written when the rate fell for good; None where it did not


def rates(run: WriteRun) -> Rates:
    """The rates of a run; one too short for quarters has the same first and last."""
    count = len(run.intervals)
    if count < FEWEST_INTERVALS:
        mean = _mean(run.intervals)
        return Rates(mean, mean, None)
    quarter = count // 4
    first, last = _mean(run.intervals[:quarter]), _mean(run.intervals[-quarter:])
    if last >= CLIFF * first:
        return Rates(first, last, None)
    written = 0
    for place, interval in enumerate(run.intervals):
        if _mean(run.intervals[place:]) < CLIFF * first and (
            interval.bytes_per_second < CLIFF * first
        ):
            break
        written += interval.bytes
    return Rates(first, last, written)


def _mean(intervals: Sequence[Interval]) -> float:
    written = sum(interval.bytes for interval in intervals)
    return _rate(written, sum(interval.seconds for interval in intervals))


def _rate(written_bytes: int, seconds: float) -> float:
    return written_bytes / seconds if seconds >= SHORTEST_S else 0.0


def check_write_rate(
    directory: str, run: WriteRun | Unreadable | None, ports: Sequence[Port]
) -> Check:
    """Weigh the sustained rate against what all `ports` fill at line rate.

    `ok` up to 70 % of it in 64-byte frames, `fail` if it cannot take 1518-byte frames, `warn`
    between, as for PCI Express; `unknown` until it was measured.
    """
    if not isinstance(run, WriteRun):
        summary, remedy = "how fast it can be written was not measured", MEASURE
        if isinstance(run, Unreadable):
            summary = f"how fast it can be written could not be measured: {run.reason}"
            remedy = f"see to that, then {MEASURE}"
        return _check("storage.rate", directory, Verdict.UNKNOWN, summary, {}, remedy)
    found = rates(run)
    speed_bps = line_rate_bps(ports)
    small = pcapng_bytes_per_second(speed_bps, SMALL_FRAME_BYTES)
    large = pcapng_bytes_per_second(speed_bps, LARGE_FRAME_BYTES)
    evidence: Evidence = {
        "measured_ns": run.measured_ns,
        "written_bytes": run.bytes,
        "seconds": round(run.seconds, 2),
        "bytes_per_second_at_first": round(found.first),
        "bytes_per_second_at_last": round(found.last),
        "cliff_after_bytes": found.cliff_bytes,
        "disk_was_the_limit": run.disk_was_the_limit,
        "needed_bytes_per_second_64_byte_frames": round(small),
        "needed_bytes_per_second_1518_byte_frames": round(large),
    }
    least = "" if run.disk_was_the_limit else "at least "
    took = f"took {least}{size_words(found.last)}/s over {size_words(run.bytes)}"
    if found.cliff_bytes is not None:
        took += f", {size_words(found.first)}/s before it fell at {size_words(found.cliff_bytes)}"
    if not speed_bps or any(port.speed_bps is None for port in ports):
        summary = f"{took}; what the ports deliver is not known without their speed"
        remedy = "see to the links first, or name the ports that will capture"
        return _check("storage.rate", directory, Verdict.UNKNOWN, summary, evidence, remedy)
    remedy = "use a faster drive, capture fewer ports, or store less of each frame: `-s 128`, `-f`"
    if found.last < large:
        summary = f"{took}; line rate in 1518-byte frames needs {size_words(large)}/s"
        if not run.disk_was_the_limit:
            remedy = "measure again while nothing else runs: the processor was the limit"
            return _check("storage.rate", directory, Verdict.UNKNOWN, summary, evidence, remedy)
        return _check("storage.rate", directory, Verdict.FAIL, summary, evidence, remedy)
    summary = f"{took}; line rate in 64-byte frames needs {size_words(small)}/s"
    if small > COMFORTABLE * found.last:
        return _check("storage.rate", directory, Verdict.WARN, summary, evidence, remedy)
    return _check("storage.rate", directory, Verdict.OK, summary, evidence)


class RunningCapture(Struct, frozen=True):
    """A capture that writes into the file system now, and how fast."""

    name: str
    bytes_per_second: float
    is_ring: bool  # it removes its oldest files, so it never fills the disk


def check_time_left(directory: str, storage: Storage, captures: Sequence[RunningCapture]) -> Check:
    """The time until the disk is full at the present rate of the captures that run."""
    if not captures:
        summary = "no capture is running into it"
        return _check("storage.time_left", directory, Verdict.NOT_APPLICABLE, summary, {})
    filling = [capture for capture in captures if not capture.is_ring]
    rate = sum(capture.bytes_per_second for capture in filling)
    evidence: Evidence = {
        "captures": [
            f"{one.name}: {size_words(one.bytes_per_second)}/s" + (", a ring" * one.is_ring)
            for one in captures
        ],
        "bytes_per_second": round(rate),
        "available_bytes": storage.available_bytes,
        "seconds_left": int(storage.available_bytes / rate) if rate >= 1 else None,
    }
    if rate < 1:
        summary = "the captures that run do not fill it"
        return _check("storage.time_left", directory, Verdict.OK, summary, evidence)
    seconds = storage.available_bytes / rate
    summary = f"lasts {duration_words(seconds)} at the present {size_words(rate)}/s"
    remedy = "stop a capture, free some space, or move on: `fieldtap capture stop NAME`"
    if seconds < FAIL_BELOW_S:
        return _check("storage.time_left", directory, Verdict.FAIL, summary, evidence, remedy)
    if seconds < WARN_BELOW_S:
        return _check("storage.time_left", directory, Verdict.WARN, summary, evidence, remedy)
    return _check("storage.time_left", directory, Verdict.OK, summary, evidence)


def _check(
    id_: str,
    directory: str,
    verdict: Verdict,
    summary: str,
    evidence: Evidence,
    remedy: str | None = None,
) -> Check:
    return Check(id_, directory, verdict, summary, evidence, remedy)
