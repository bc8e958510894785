"""What a report shows, as tables: the terminal, CSV and HTML print the same cells.

A column is named once: its key is the name in the JSON and in CSV, its label the heading that a
person reads.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from fieldtap_hardware.ports import Port
from msgspec import Struct

from fieldtap.linktest.results import (
    LinktestReport,
    LossResult,
    ServiceResult,
    Setting,
    SoakResult,
    StepResult,
)
from fieldtap.linktest.trial import FlowResult, TrialResult

Value = str | int | float | bool | None


def fixed(digits: int) -> Callable[[Value], str]:
    """Return what shows a number with `digits` after the point."""
    return lambda value: f"{value:,.{digits}f}"


def load(value: Value) -> str:
    """A rate in frames a second, or the word for top speed."""
    return value if isinstance(value, str) else fixed(1)(value)


def percent(value: Value) -> str:
    """A share as per cent."""
    return f"{value:.3%}"


def utc(ns: Value) -> str:
    """Nanoseconds since 1970 as date and time, cut to milliseconds."""
    seconds, rest_ns = divmod(int(ns or 0), 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest_ns // 1_000_000:03} UTC"


def plain(value: Value) -> str:
    """A text as it is, a number with its thousands apart, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


@dataclass(frozen=True)
class Column:
    """`key` is the field's name with its unit, `label` the heading, `show` prints a value.

    A `detail` is left out on a terminal.
    """

    key: str
    label: str
    show: Callable[[Value], str] = plain
    detail: bool = False

    def text(self, value: Value) -> str:
        """Return a cell of this column as it is printed."""
        return "-" if value is None else self.show(value)


@dataclass(frozen=True)
class Table:
    """Rows hold raw values, one a column. `notes` are sentences that a reader needs."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()

    def filled(self) -> "Table":
        """Return the table without the columns that no row says anything in."""
        return self._only(
            [
                index
                for index in range(len(self.columns))
                if any(row[index] not in (None, "") for row in self.rows)
            ]
        )

    def brief(self) -> "Table":
        """Return the table without details."""
        columns = enumerate(self.columns)
        return self._only([index for index, column in columns if not column.detail])

    def _only(self, indexes: Sequence[int]) -> "Table":
        columns = tuple(self.columns[index] for index in indexes)
        rows = tuple(tuple(row[index] for index in indexes) for row in self.rows)
        return replace(self, columns=columns, rows=rows)


SIZE = Column("frame_bytes", "size, B")
LINE = Column("line_pps", "line, frames/s", fixed(0))
JUDGED = (Column("verdict", "verdict"), Column("reasons", "reasons", detail=True))

THROUGHPUT = (
    SIZE,
    LINE,
    Column("highest_pps", "highest tried, frames/s", fixed(0), detail=True),
    Column("rate_pps", "throughput, frames/s", fixed(1)),
    Column("rate_bps", "bit/s", fixed(0), detail=True),
    Column("percent_of_line", "% of line", fixed(2)),
    Column("upper_pps", "loses at, frames/s", fixed(1)),
    Column("precision", "within", percent, detail=True),
    *JUDGED,
)
LATENCY = (
    SIZE,
    Column("rate_pps", "at, frames/s", fixed(1)),
    Column("repetitions", "runs", detail=True),
    Column("samples", "samples", detail=True),
    Column("min_ns", "min, ns"),
    Column("p50_ns", "50 %, ns"),
    Column("p99_ns", "99 %, ns"),
    Column("p999_ns", "99.9 %, ns", detail=True),
    Column("max_ns", "max, ns"),
    Column("mean_ns", "mean of the runs, ns", fixed(0), detail=True),
    Column("deviation_ns", "std. dev., ns", fixed(0), detail=True),
    Column("source", "clock", detail=True),
    *JUDGED,
)
LOSS_POINT = (
    Column("percent_of_highest", "load, % of highest", fixed(2), detail=True),
    Column("percent_of_line", "load, % of line", fixed(2)),
    Column("rate_pps", "load, frames/s", fixed(1)),
    Column("sent", "sent"),
    Column("received", "received", detail=True),
    Column("lost", "lost"),
    Column("loss_percent", "loss, %", fixed(4)),
)
BACK_TO_BACK = (
    SIZE,
    replace(LINE, detail=True),
    Column("throughput_pps", "throughput, frames/s", fixed(1), detail=True),
    Column("burst_pps", "sent at, frames/s", fixed(0)),
    Column("repetitions", "bursts"),
    Column("mean_frames", "mean, frames", fixed(1)),
    Column("min_frames", "min"),
    Column("max_frames", "max"),
    Column("deviation_frames", "std. dev.", fixed(1), detail=True),
    Column("implied_buffer_s", "implied buffer, s", fixed(6), detail=True),
    Column("corrected_buffer_s", "corrected buffer, s", fixed(6)),
    Column("skipped", "not tested"),
    *JUDGED,
)
RECOVERY = (
    SIZE,
    Column("throughput_pps", "throughput, frames/s", fixed(1)),
    Column("overload_pps", "overload, frames/s", fixed(1)),
    Column("reduced_pps", "then, frames/s", fixed(1)),
    Column("recovery_s", "recovery, s", fixed(3)),
    Column("resolution_s", "seen to within, s", fixed(3), detail=True),
    *JUDGED,
)
SERVICE = (
    Column("name", "service"),
    SIZE,
    Column("vlan_id", "VLAN"),
    Column("priority", "priority", detail=True),
    Column("cir_bps", "CIR, bit/s", fixed(0)),
    Column("eir_bps", "EIR, bit/s", fixed(0)),
    Column("policed", "policed", detail=True),
    Column("margin_bps", "margin, bit/s", fixed(0), detail=True),
    Column("flr_max", "loss ratio limit", fixed(6)),
    Column("ftd_max_ns", "delay limit, ns"),
    Column("fdv_max_ns", "variation limit, ns"),
    Column("avail_min", "availability limit", percent),
)
STEP = (
    Column("service", "service"),
    Column("step", "step"),
    Column("rate_bps", "step rate, bit/s", fixed(0), detail=True),
)
FIGURES = (
    Column("direction", "way"),
    Column("offered_bps", "offered, bit/s", fixed(0), detail=True),
    Column("ir_bps", "received, bit/s", fixed(0)),
    Column("flr", "loss ratio", fixed(6)),
    Column("ftd_min_ns", "delay min, ns", detail=True),
    Column("ftd_p50_ns", "delay 50 %, ns", detail=True),
    Column("ftd_p999_ns", "delay 99.9 %, ns"),
    Column("ftd_max_ns", "delay max, ns", detail=True),
    Column("fdv_ns", "variation, ns"),
    Column("avail", "availability", percent, detail=True),
    Column("errored_s", "errored seconds", detail=True),
)
SOAK = (
    SIZE,
    Column("rate_pps", "load, frames/s", fixed(1)),
    Column("sent", "sent"),
    Column("lost", "lost"),
    Column("loss_percent", "loss, %", fixed(6)),
    *JUDGED,
)
INTERVAL = (
    Column("from_ns", "from", utc),
    Column("to_ns", "to", utc),
    Column("sent", "sent"),
    Column("received", "received"),
    Column("lost", "lost"),
)
OUTAGE = (
    Column("from_ns", "from", utc),
    Column("to_ns", "to", utc),
    Column("ports", "ports"),
    Column("lost", "lost around it"),
)
TRIAL = (
    Column("trial", "trial"),
    Column("purpose", "purpose"),
    Column("started_ns", "started", utc),
    Column("duration_s", "for, s", fixed(1)),
    Column("name", "flow"),
    Column("direction", "way"),
    SIZE,
    Column("rate_pps", "rate, frames/s", load),
)
COUNTS = (
    Column("offered", "offered"),
    Column("sent", "sent"),
    Column("received", "received"),
    Column("lost", "lost"),
    Column("receiver_dropped", "dropped here"),
    Column("duplicate", "duplicate"),
    Column("reordered", "reordered"),
    Column("corrupt", "corrupt"),
    Column("foreign", "foreign"),
)
DELAYS = (
    Column("min", "min, ns"),
    Column("p50", "50 %, ns"),
    Column("p99", "99 %, ns"),
    Column("p999", "99.9 %, ns"),
    Column("max", "max, ns"),
)
CLAUSE = Column("clause", "clause")
VALIDITY = (Column("valid", "valid"), Column("invalid_reason", "why not"))

CHECK = (
    Column("subject", "of"),
    Column("verdict", "verdict"),
    Column("summary", "found"),
    Column("remedy", "to do"),
)

TOP_SPEED = "max"
TITLES = {
    "rfc2544": "RFC 2544 benchmark",
    "loss": "Frame loss rate",
    "latency": "Latency",
    "back-to-back": "Back-to-back frames",
    "recovery": "System recovery",
    "y1564": "Y.1564 service activation test",
    "quick": "Quick link test",
    "soak": "Soak test",
}
WORST = "Percentiles are those of the worst run."

CORRECTED = (
    "Buffer times as RFC 9004 has them: the mean burst at line rate, and that less the share of it "
    "which the device forwarded meanwhile."
)


class Judged(Protocol):
    """Whatever has a verdict and the reasons for it."""

    @property
    def verdict(self) -> str: ...

    @property
    def reasons(self) -> tuple[str, ...]: ...


def between(report: LinktestReport) -> str:
    """Return the ports in words, and which way the frames went."""
    a, b = (port.name for port in report.ports)
    way = report.settings.get("directions")
    if way == "both":
        return f"{a} and {b}, both ways"
    return f"{b} to {a}" if way == "b-a" else f"{a} to {b}"


def occasion(report: LinktestReport) -> list[tuple[str, str]]:
    """Return what the tester said of it, without what was left empty."""
    said = report.occasion
    pairs = [(name, getattr(said, name)) for name in said.__struct_fields__]
    return [(name, text) for name, text in pairs if text]


def results(report: LinktestReport) -> tuple[Table, ...]:
    """Return the tables of what was found; a part that was not run has none."""
    found = (
        _table("throughput", "Throughput", THROUGHPUT, report.throughput),
        replace(
            _table("latency", "Latency at the throughput", LATENCY, report.latency),
            notes=(WORST,),
        ),
        _loss(report.loss),
        replace(
            _table("back_to_back", "Back-to-back frames", BACK_TO_BACK, report.back_to_back),
            notes=(CORRECTED,),
        ),
        _table("recovery", "System recovery", RECOVERY, report.recovery),
        _table("services", "Services", SERVICE, [entry.service for entry in report.services]),
        _steps(report.services),
        *(_soak(report.soak) if report.soak else ()),
        _table("checks", "Checks", CHECK, report.checks),
    )
    return tuple(table for table in found if table.rows)


def trials(report: LinktestReport) -> Table:
    """Return every trial, a line a flow, with the flow's result where there is one."""
    columns = (*TRIAL, *COUNTS, *DELAYS, *VALIDITY)
    rows = [row for index, result in enumerate(report.trials) for row in _trial_rows(index, result)]
    return Table("trials", "Raw trials", columns, tuple(rows))


def setup(report: LinktestReport) -> tuple[Table, ...]:
    """Return the tables of what was tested, with what, and how; empty ones are left out."""
    found = (
        _ports(report.ports),
        _pairs("settings", "Settings", report.settings),
        _pairs("tester", "Tester", _fields(report.host) | _fields(report.versions)),
        *deviations(report),
        _waits(report),
    )
    return tuple(table for table in found if table.rows)


def _row(item: object, columns: Iterable[Column]) -> tuple[Value, ...]:
    return tuple(_flat(getattr(item, column.key)) for column in columns)


def _flat(value: Setting | tuple[str, ...]) -> Value:
    """Several values, or sentences, in one cell."""
    return "; ".join(map(plain, value)) if isinstance(value, tuple) else value


def _words(value: Value) -> Value:
    """A value of a table whose columns hold values of all kinds: as text, to stand as text does."""
    return None if value is None else plain(value)


def _table(key: str, title: str, columns: tuple[Column, ...], items: Sequence[object]) -> Table:
    return Table(key, title, columns, tuple(_row(item, columns) for item in items))


def _judged(item: Judged) -> tuple[Value, ...]:
    return item.verdict, "; ".join(item.reasons)


def _loss(found: Iterable[LossResult]) -> Table:
    rows = [
        (result.frame_bytes, *_row(point, LOSS_POINT), *_judged(result))
        for result in found
        for point in result.points
    ]
    return Table("loss", "Frame loss rate", (SIZE, *LOSS_POINT, *JUDGED), tuple(rows))


def _steps(found: Iterable[ServiceResult]) -> Table:
    rows = [
        (result.service.name, step.step, step.rate_bps, *_row(figures, FIGURES), *_judged(step))
        for result in found
        for step in _all_steps(result)
        for figures in step.figures
    ]
    columns = (*STEP, *FIGURES, *JUDGED)
    return Table("steps", "Configuration and performance", columns, tuple(rows))


def _all_steps(found: ServiceResult) -> tuple[StepResult, ...]:
    return (*found.configuration, *((found.performance,) if found.performance else ()))


def _soak(soak: SoakResult) -> tuple[Table, ...]:
    return (
        _table("soak", "Soak", SOAK, [soak]),
        _table("outages", "When the link was down", OUTAGE, soak.outages),
        _table("losses", "When frames were lost", INTERVAL, soak.losses),
        _table("course", "Course of the soak", INTERVAL, soak.course),
    )


def _trial_rows(index: int, result: TrialResult) -> Iterable[tuple[Value, ...]]:
    asked = result.trial
    for number, flow in enumerate(asked.flows):
        yield (
            index,
            asked.purpose,
            result.started_ns,
            asked.duration_s,
            flow.name,
            flow.direction,
            flow.frame_bytes,
            TOP_SPEED if flow.rate_pps is None else flow.rate_pps,
            *_flow_cells(result.flows[number] if number < len(result.flows) else None),
            result.valid,
            result.invalid_reason,
        )


def _flow_cells(flow: FlowResult | None) -> tuple[Value, ...]:
    if flow is None:
        return (None,) * (len(COUNTS) + len(DELAYS))
    delays = _row(flow.latency_ns, DELAYS) if flow.latency_ns else (None,) * len(DELAYS)
    return (*_row(flow, COUNTS), *delays)


def _fields(item: Struct) -> dict[str, Setting]:
    return {name: getattr(item, name) for name in item.__struct_fields__}


def _pairs(key: str, title: str, pairs: dict[str, Setting]) -> Table:
    columns = (Column("name", ""), Column("value", ""))
    rows = tuple((name.replace("_", " "), _words(_flat(value))) for name, value in pairs.items())
    return Table(key, title, columns, rows)


def _ports(ports: tuple[Port, Port]) -> Table:
    rows = tuple(
        (name, *(_words(show(port)) for port in ports)) for name, show in PORT_LINES.items()
    )
    return Table("ports", "Ports", (Column("name", ""), Column("a", "A"), Column("b", "B")), rows)


def _stamps(port: Port) -> str | None:
    if port.timestamping is None:
        return None
    return "adapter" if port.timestamping.adapter_rx_all else "host"


PORT_LINES: dict[str, Callable[[Port], Value]] = {
    "port": lambda port: port.name,
    "adapter": lambda port: port.model or ("virtual" if port.virtual else None),
    "driver": lambda port: " ".join(filter(None, (port.driver, port.driver_version))) or None,
    "firmware": lambda port: port.firmware,
    "address on the bus": lambda port: port.bus_address,
    "link, bit/s": lambda port: port.speed_bps,
    "MTU, B": lambda port: port.mtu_bytes,
    "MAC address": lambda port: port.mac,
    "queues, receive": lambda port: port.rx_queues,
    "queues, send": lambda port: port.tx_queues,
    "receive timestamps": _stamps,
}


def deviations(report: LinktestReport) -> tuple[Table, ...]:
    """Return the table of what the test did otherwise than its standard, where it did."""
    if report.standard is None or not report.standard.deviations:
        return ()
    columns = (CLAUSE, Column("standard", "the standard"), Column("done", "this test"))
    title = "Deviations from the standard"
    return (_table("deviations", title, columns, report.standard.deviations),)


def _waits(report: LinktestReport) -> Table:
    columns = (
        Column("purpose", "waiting for"),
        CLAUSE,
        Column("standard_s", "standard, s"),
        Column("used_s", "used, s"),
    )
    waits = report.standard.waits if report.standard else ()
    return _table("waits", "Waiting times", columns, waits)
