"""The report of a link test, `fieldtap.linktest-report/1`: plain values, made once, never changed.

Sizes include 4 bytes of FCS; rates are frames a second each way, `_bps` is layer 2 with FCS; times
are nanoseconds UTC. Results name the trials they rest on by their index in `trials`. Parts of a
test that were not run are empty.
"""

from pathlib import Path
from typing import Literal

import msgspec
from fieldtap_core.errors import EngineError
from fieldtap_core.messages import Count
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check
from msgspec import Struct

from fieldtap.linktest.trial import TrialResult

Kind = Literal["rfc2544", "loss", "latency", "back-to-back", "recovery", "y1564", "quick", "soak"]
Directions = Literal["a-b", "b-a", "both"]
Verdict = Literal["ok", "fail", "measured", "not_measured", "invalid"]
"""`measured`: there are figures and no limit to judge them by. `not_measured`: the link gave
nothing to measure. `invalid`: nothing was proved.
"""

LARGEST = 1e19
"""No figure of a link is: as a time, this is in the year 2286."""

Setting = str | int | float | bool | None | tuple[str | int | float, ...]


class Wait(Struct, frozen=True):
    """A time that a standard says: what it is for, what is asked for and what was used."""

    purpose: str
    clause: str
    standard_s: float
    used_s: float


class Deviation(Struct, frozen=True):
    """Where the test differs from its standard, in two sentences."""

    clause: str
    standard: str
    done: str


class Standard(Struct, frozen=True):
    """The standard that a test follows; `title` is short, `waits` are all it asks for."""

    name: str
    title: str
    waits: tuple[Wait, ...]
    deviations: tuple[Deviation, ...]


class Occasion(Struct, frozen=True, kw_only=True):
    """For whom, where and by whom a link was tested, in the tester's own words."""

    customer: str = ""
    site: str = ""
    operator: str = ""
    notes: str = ""


class Host(Struct, frozen=True, kw_only=True):
    """The machine that tested. None where it does not tell."""

    name: str
    processor: str | None
    processors: int
    governor: str | None
    clock_source: str | None


class Versions(Struct, frozen=True, kw_only=True):
    """What tested; `search` is the version of the search library, None where it was not used."""

    fieldtap: str
    engine: str
    kernel: str
    python: str
    search: str | None


class ThroughputResult(Struct, frozen=True, kw_only=True):
    """RFC 2544 26.1, one size: the highest rate without loss that was found, each way.

    `rate_pps` is None where no rate came through whole. `upper_pps` is the lowest rate that was
    seen to lose, None where even `highest_pps` did not; they are at most `precision` of it apart.
    `highest_pps` is `line_pps` unless this machine cannot offer that.
    """

    frame_bytes: int
    line_pps: float
    highest_pps: float | None = None
    rate_pps: float | None = None
    upper_pps: float | None = None
    precision: float
    rate_bps: float | None = None
    percent_of_line: float | None = None
    verdict: Verdict
    reasons: tuple[str, ...]
    trials: tuple[int, ...]


class LatencyResult(Struct, frozen=True, kw_only=True):
    """RFC 2544 26.2, one size: latencies in nanoseconds at the throughput.

    `mean_ns` and `deviation_ns` are over the repetitions' means; the percentiles are the worst
    repetition's, `min_ns` and `max_ns` the extremes of all.
    """

    frame_bytes: int
    rate_pps: float | None = None
    repetitions: int = 0
    samples: Count = 0
    mean_ns: float | None = None
    deviation_ns: float | None = None
    min_ns: int | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
    p999_ns: int | None = None
    max_ns: int | None = None
    source: str | None = None
    verdict: Verdict
    reasons: tuple[str, ...]
    trials: tuple[int, ...]


class LossPoint(Struct, frozen=True, kw_only=True):
    """One load of the frame loss rate test, as a share of the highest that can be offered."""

    percent_of_highest: float
    percent_of_line: float
    rate_pps: float
    sent: Count
    received: Count
    lost: Count
    loss_percent: float


class LossResult(Struct, frozen=True, kw_only=True):
    """RFC 2544 26.3, one size: the share of frames lost at each load, the highest first."""

    frame_bytes: int
    line_pps: float
    points: tuple[LossPoint, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    trials: tuple[int, ...]


class BackToBackResult(Struct, frozen=True, kw_only=True):
    """RFC 2544 26.4 as RFC 9004 corrects it, one size: the longest bursts without loss.

    `skipped` says why a size was not tested. Bursts leave at `burst_pps`, which is `line_pps`
    unless this machine is slower. Buffer times are in seconds.
    """

    frame_bytes: int
    line_pps: float
    burst_pps: float | None = None
    throughput_pps: float | None = None
    skipped: str | None = None
    repetitions: int = 0
    mean_frames: float | None = None
    min_frames: int | None = None
    max_frames: int | None = None
    deviation_frames: float | None = None
    implied_buffer_s: float | None = None
    corrected_buffer_s: float | None = None
    verdict: Verdict
    reasons: tuple[str, ...]
    trials: tuple[int, ...]


class RecoveryResult(Struct, frozen=True, kw_only=True):
    """RFC 2544 26.5, one size: from the end of the overload to the last frame lost.

    `resolution_s` is how far apart the losses were looked at.
    """

    frame_bytes: int
    throughput_pps: float | None = None
    overload_pps: float | None = None
    reduced_pps: float | None = None
    recovery_s: float | None = None
    resolution_s: float | None = None
    verdict: Verdict
    reasons: tuple[str, ...]
    trials: tuple[int, ...]


class Service(Struct, frozen=True, kw_only=True):
    """A service profile of Y.1564: what was agreed. Limits are None where nothing was."""

    name: str
    frame_bytes: int
    cir_bps: float
    eir_bps: float = 0.0
    policed: bool = False
    margin_bps: float = 0.0
    vlan_id: int | None = None
    priority: int | None = None
    flr_max: float | None = None
    ftd_max_ns: int | None = None
    fdv_max_ns: int | None = None
    avail_min: float | None = None


class ServiceFigures(Struct, frozen=True, kw_only=True):
    """What a service was seen to give, in one direction, over one trial.

    `ir_bps` is the rate received, `flr` the ratio of frames lost, `ftd_*` the frame transfer delay,
    judged by its 99.9th percentile; `fdv_ns` its variation (that percentile less the minimum);
    `avail` the share of available seconds of all services together, `errored_s` the severely
    errored ones.
    """

    direction: Literal["a-b", "b-a"]
    offered_bps: float
    ir_bps: float
    flr: float
    ftd_min_ns: int | None
    ftd_p50_ns: int | None
    ftd_p999_ns: int | None
    ftd_max_ns: int | None
    fdv_ns: int | None
    avail: float | None = None
    errored_s: int | None = None


class StepResult(Struct, frozen=True, kw_only=True):
    """One step of the configuration test, such as "50 % of CIR"."""

    step: str
    rate_bps: float
    figures: tuple[ServiceFigures, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    trials: tuple[int, ...]


class ServiceResult(Struct, frozen=True, kw_only=True):
    """A service through the configuration test, and (if run) the performance test."""

    service: Service
    configuration: tuple[StepResult, ...]
    performance: StepResult | None
    verdict: Verdict
    reasons: tuple[str, ...]


class SoakRecord(Struct, frozen=True, kw_only=True):
    """An interval of a long run and what was counted in it, in frames, over all directions."""

    from_ns: Count
    to_ns: Count
    sent: Count
    received: Count
    lost: Count


class Outage(Struct, frozen=True, kw_only=True):
    """When a link was away during a soak, and the frames lost around that time.

    `ports` had no link; none is named where it was over before it could be looked at. `lost` None:
    the run ended without a count. Frames that were under way when a link went count as lost; those
    that were never sent for want of a link do not.
    """

    from_ns: Count
    to_ns: Count
    ports: tuple[str, ...]
    lost: Count | None


class SoakResult(Struct, frozen=True, kw_only=True):
    """A steady load: its course in intervals, each interval of a look in which frames went, and
    when the link was away.
    """

    frame_bytes: int
    rate_pps: float
    sent: Count
    lost: Count
    loss_percent: float
    course: tuple[SoakRecord, ...]
    losses: tuple[SoakRecord, ...]
    outages: tuple[Outage, ...] = ()
    verdict: Verdict
    reasons: tuple[str, ...]
    trials: tuple[int, ...]


class LinktestReport(Struct, frozen=True, kw_only=True):
    """The whole of one link test. `ports` are A and B as they were when it began."""

    schema: Literal["fieldtap.linktest-report/1"] = "fieldtap.linktest-report/1"
    test: Kind
    occasion: Occasion = Occasion()
    standard: Standard | None
    settings: dict[str, Setting]
    ports: tuple[Port, Port]
    host: Host
    versions: Versions
    started_ns: Count
    stopped_ns: Count
    interrupted: bool
    verdict: Verdict
    reasons: tuple[str, ...]
    throughput: tuple[ThroughputResult, ...] = ()
    latency: tuple[LatencyResult, ...] = ()
    loss: tuple[LossResult, ...] = ()
    back_to_back: tuple[BackToBackResult, ...] = ()
    recovery: tuple[RecoveryResult, ...] = ()
    services: tuple[ServiceResult, ...] = ()
    soak: SoakResult | None = None
    checks: tuple[Check, ...] = ()
    trials: tuple[TrialResult, ...] = ()


def encode(report: LinktestReport) -> bytes:
    """Return the report as JSON, indented, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def decode(data: bytes, path: Path) -> LinktestReport:
    """Return what is in a report; `path` is for the error. Raises `EngineError`."""
    try:
        report = msgspec.json.decode(data, type=LinktestReport)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EngineError(f"{path} is not a link test's report: {error}") from None
    if not _all_below(LARGEST, msgspec.to_builtins(report)):
        raise EngineError(f"{path} is not a link test's report: a number is beyond any link's")
    return report


def _all_below(limit: float, value: object) -> bool:
    if isinstance(value, dict):
        return all(_all_below(limit, item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_all_below(limit, item) for item in value)
    return not isinstance(value, int | float) or abs(value) < limit


def read(path: Path) -> LinktestReport:
    """Read a report. Raises `EngineError` with one sentence."""
    try:
        return decode(path.read_bytes(), path)
    except OSError as error:
        raise EngineError(f"cannot read the report {path}: {error.strerror}") from None
