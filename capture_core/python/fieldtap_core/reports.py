"""What an engine leaves in its `--report` file: `capture-report/1` and `generate-report/1`.

Unknown fields are tolerated. Units are those of `messages`.
"""

from pathlib import Path
from typing import Literal

import msgspec

from fieldtap_core.errors import EngineError
from fieldtap_core.messages import Count, Dropped, Received


class Wire(msgspec.Struct, frozen=True):
    """What the interface's own counters allow: `offered` and the adapter's drops lie within.

    `agrees` is null where this driver's counters prove nothing; `source` is null without a wire.
    """

    source: str | None
    min: Count | None
    max: Count | None
    agrees: bool | None


class PortLedger(msgspec.Struct, frozen=True):
    """One port's ledger, in frames; `derived` names the figures got by subtraction."""

    port: str
    backend: str
    mode: str
    timestamps: str
    offered: Count
    stored: Count
    filtered: Count
    excess: Count
    derived: tuple[str, ...]
    dropped: Dropped
    wire: Wire | None
    bytes_stored: Count


class FileRecord(msgspec.Struct, frozen=True):
    """One finished capture file; times are null in a file without packets."""

    path: str
    packets: Count
    bytes: Count
    first_ns: Count | None
    last_ns: Count | None
    sha256: str | None


class CaptureReport(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt of one capture.

    `balanced` is true when every offered frame is accounted for by a count of its own, false when
    the sum does not hold, null when a derived figure closed it.
    """

    schema: Literal["fieldtap.capture-report/1"]
    name: str
    started_ns: Count
    stopped_ns: Count
    stop_reason: str
    balanced: bool | None
    lost: Count
    ports: tuple[PortLedger, ...]
    files: tuple[FileRecord, ...]


class Refusal(msgspec.Struct, frozen=True):
    """A back end that would have been faster, and why a run did not get it."""

    backend: str
    reason: str


class Sent(msgspec.Struct, frozen=True):
    """The sending side of a generator run. `requested_pps` is null for top speed."""

    port: str
    backend: str
    mode: str
    source: str
    frames: Count
    submitted: Count
    bytes: Count
    pps: float
    bps: float
    requested_pps: float | None
    late_max_ns: Count
    underruns: Count = 0
    refused: tuple[Refusal, ...] = ()


class Tap(msgspec.Struct, frozen=True):
    """A file of what was handed to the port, and how long sending waited for it."""

    path: str
    frames: Count
    waited_ns: Count


class Latency(msgspec.Struct, frozen=True):
    """One-way delay in nanoseconds, and which clocks it was measured with; nothing is taken off.

    `jitter_ns` is the mean absolute difference between a frame and the one before it in its stream,
    null of a single frame; `pdv_ns` is `p999` less `min` (RFC 8219). Frames that seem to have come
    before they were sent are `negative`, those above 100 s `beyond`, both in no other figure.
    `histogram` is HdrHistogram's (version 2, compressed, base64).
    """

    samples: Count
    min: int
    p50: int
    p99: int
    p999: int
    max: int
    source: str
    mean: float | None = None
    jitter_ns: Count | None = None
    pdv_ns: Count | None = None
    negative: Count = 0
    beyond: Count = 0
    histogram: str | None = None


class StreamRecord(msgspec.Struct, frozen=True):
    """One stream of a generator run, in frames.

    What is null cannot be told: `lost` where frames of several streams were dropped at either port,
    all that was received of a stream without a signature.
    """

    id: int
    tx: Count
    rx: Count | None
    lost: Count | None
    duplicate: Count | None
    reordered: Count | None
    corrupt: Count | None
    name: str | None = None
    latency_ns: Latency | None = None


class GenerateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt of one generator run; `invalid_reason` says why `valid` is false.

    `latency_unknown_reason` says why frames that came back have no `latency_ns`.
    """

    schema: Literal["fieldtap.generate-report/1"]
    started_ns: Count
    stopped_ns: Count
    valid: bool
    invalid_reason: str | None
    tx: Sent
    rx: Received | None
    streams: tuple[StreamRecord, ...]
    latency_ns: Latency | None
    latency_unknown_reason: str | None = None
    tap: Tap | None = None


def read_capture_report(path: Path) -> CaptureReport:
    """Read the report of ft-capture at `path`. Raises `EngineError`."""
    return parse_capture_report(_read(path), path)


def read_generate_report(path: Path) -> GenerateReport:
    """Read the report of ft-generate at `path`. Raises `EngineError`."""
    return parse_generate_report(_read(path), path)


def parse_capture_report(data: bytes, path: Path) -> CaptureReport:
    """Read `capture-report/1`; `path` is for the error. Raises `EngineError`."""
    try:
        return msgspec.json.decode(data, type=CaptureReport)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EngineError(f"{path} is not a capture report: {error}") from None


def parse_generate_report(data: bytes, path: Path) -> GenerateReport:
    """Read `generate-report/1`; `path` is for the error. Raises `EngineError`."""
    try:
        return msgspec.json.decode(data, type=GenerateReport)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EngineError(f"{path} is not a generator report: {error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read the report {path}: {error.strerror}") from None
