"""The kinds of link test, each as settings, a course and what it adds to a report."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check
from msgspec.structs import replace

from fieldtap.linktest import figures, outages, quick, rfc2544, soak, y1564
from fieldtap.linktest.bench import Bench, InvalidTestError, find_ceiling
from fieldtap.linktest.parts import Parts
from fieldtap.linktest.quantities import frames_pps
from fieldtap.linktest.results import Kind, LinktestReport, Service, Setting, SoakResult
from fieldtap.linktest.settings import Search, Settings


@dataclass
class Rfc2544Test:
    """Any choice of the tests of RFC 2544."""

    kind: Kind
    bench: Bench
    settings: Settings
    speed_bps: float
    parts: Parts = field(default_factory=Parts)

    @property
    def search(self) -> Search | None:
        """Which search is used; None where there is none."""
        return None if set(self.settings.parts) == {"loss"} else self.settings.search

    def estimate_s(self) -> float:
        """Return how long it takes at least, in seconds."""
        return rfc2544.estimate_s(self.settings, self.bench)

    def run(self) -> None:
        """Run to the end."""
        rfc2544.run(self.bench, self.settings, self.speed_bps, self.parts)

    def fill(self, report: LinktestReport) -> LinktestReport:
        """Return `report` with what was found so far."""
        parts = self.parts
        settings: dict[str, Setting] = {
            name: value for name, value in asdict(self.settings).items() if name != "limits"
        }
        limits = asdict(self.settings.limits)
        settings |= {f"limit_{name}": value for name, value in limits.items() if value is not None}
        return replace(
            report,
            standard=rfc2544.standard(self.settings, self.bench, sorted(parts.slower)),
            settings=settings | {"speed_bps": self.speed_bps},
            throughput=tuple(parts.throughput),
            latency=tuple(parts.latency),
            loss=tuple(parts.loss),
            back_to_back=tuple(parts.back_to_back),
            recovery=tuple(parts.recovery),
        )


@dataclass
class Y1564Test:
    """Service activation by Y.1564. `performance_s` 0 leaves the performance test out."""

    bench: Bench
    services: tuple[Service, ...]
    step_s: float
    performance_s: float
    kind: Kind = "y1564"
    search: Search | None = None
    course: y1564.Course = field(init=False)

    def __post_init__(self) -> None:
        self.course = y1564.Course(self.services)

    def estimate_s(self) -> float:
        """Return how long it takes at least, in seconds."""
        return y1564.estimate_s(self.bench, self.services, self.step_s, self.performance_s)

    def run(self) -> None:
        """Run to the end."""
        y1564.configure(self.bench, self.course, self.step_s)
        if self.performance_s > 0:
            y1564.perform(self.bench, self.course, self.performance_s)

    def fill(self, report: LinktestReport) -> LinktestReport:
        """Return `report` with what was found so far."""
        return replace(
            report,
            standard=y1564.standard(self.step_s, self.performance_s),
            settings={
                "directions": self.bench.directions,
                "services": tuple(service.name for service in self.services),
                "step_s": self.step_s,
                "performance_s": self.performance_s,
                "attempts": self.bench.attempts,
            },
            services=self.course.results(),
        )


@dataclass
class QuickTest:
    """Is this link clean?"""

    bench: Bench
    ports: tuple[Port, Port]
    speed_bps: float
    kind: Kind = "quick"
    search: Search | None = None
    read_counters: Callable[[str], quick.Counters] = quick.read_counters
    checks: list[Check] = field(default_factory=list)

    def estimate_s(self) -> float:
        """Return how long it takes at least, in seconds."""
        return quick.estimate_s(self.bench)

    def run(self) -> None:
        """Run to the end."""
        quick.run(self.bench, self.ports, self.speed_bps, self.checks, self.read_counters)

    def fill(self, report: LinktestReport) -> LinktestReport:
        """Return `report` with what was found so far."""
        return replace(
            report,
            settings={
                "directions": self.bench.directions,
                "sizes": quick.sizes(self.bench.vlan_id),
                "loads_percent": quick.LOADS_PERCENT,
                "load_s": quick.LOAD_S,
                "flood_s": quick.FLOOD_S,
                "attempts": self.bench.attempts,
                "speed_bps": self.speed_bps,
            },
            checks=tuple(self.checks),
        )


@dataclass
class SoakTest:
    """A steady load for hours. `rate` is as typed: of the highest that can be offered, or plain."""

    bench: Bench
    frame_bytes: int
    rate: str
    duration_s: float
    allowed_percent: float
    speed_bps: float
    look: outages.Look
    kind: Kind = "soak"
    search: Search | None = None
    course: soak.Course | None = None
    result: SoakResult | None = None
    problem: str | None = None

    def estimate_s(self) -> float:
        """Return how long it takes at least, in seconds."""
        return self.duration_s + self.bench.waits.around_s

    def run(self) -> None:
        """Run to the end."""
        line = figures.line_pps(self.speed_bps, self.frame_bytes)
        highest = line
        if self.rate.endswith("%"):
            try:
                highest = find_ceiling(self.bench, self.frame_bytes, line).highest_pps
            except InvalidTestError as error:
                self.problem = str(error)
                return
        rate_pps = frames_pps(self.rate, self.frame_bytes, highest)
        links = outages.LinkWatch(self.look)
        self.course = soak.begin(self.frame_bytes, rate_pps, self.duration_s, links)
        self.result = soak.run(self.bench, self.course, self.duration_s, self.allowed_percent)

    def fill(self, report: LinktestReport) -> LinktestReport:
        """Return `report` with what was found so far."""
        result = self.result
        if result is None and self.course is not None:
            result = soak.interrupted(self.course)
        reasons = report.reasons if self.problem is None else (*report.reasons, self.problem)
        return replace(
            report,
            settings={
                "directions": self.bench.directions,
                "frame_bytes": self.frame_bytes,
                "rate": self.rate,
                "duration_s": self.duration_s,
                "allowed_percent": self.allowed_percent,
                "speed_bps": self.speed_bps,
            },
            soak=result,
            reasons=reasons,
        )
