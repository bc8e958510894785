"""One link test from its settings to its report, however it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fieldtap_core.errors import EngineError
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Verdict as CheckVerdict
from msgspec.structs import replace

from fieldtap.linktest import facts, quick
from fieldtap.linktest.bench import Bench
from fieldtap.linktest.judging import worst
from fieldtap.linktest.results import (
    BackToBackResult,
    Kind,
    LatencyResult,
    LinktestReport,
    LossResult,
    RecoveryResult,
    ThroughputResult,
    Verdict,
)
from fieldtap.linktest.settings import Search

OF_CHECKS: dict[CheckVerdict, Verdict] = {
    CheckVerdict.OK: "ok",
    CheckVerdict.WARN: "ok",
    CheckVerdict.FAIL: "fail",
    CheckVerdict.UNKNOWN: "invalid",
}


class Test(Protocol):
    """A kind of link test with its settings; what it has found is always to be had."""

    @property
    def kind(self) -> Kind:
        """What it is called."""
        ...

    @property
    def search(self) -> Search | None:
        """Which search it uses, None where it searches nothing."""
        ...

    @property
    def bench(self) -> Bench:
        """What runs its trials."""
        ...

    def estimate_s(self) -> float:
        """Return how long it takes at least, in seconds."""
        ...

    def run(self) -> None:
        """Run to the end."""
        ...

    def fill(self, report: LinktestReport) -> LinktestReport:
        """Return `report` with settings, standard and what was found so far."""
        ...


OfSize = ThroughputResult | LatencyResult | LossResult | BackToBackResult | RecoveryResult


@dataclass(frozen=True)
class Part:
    """A judged part of a report and what to call it."""

    name: str
    verdict: Verdict
    reasons: tuple[str, ...]


def run(test: Test, ports: tuple[Port, Port]) -> LinktestReport:
    """Run `test` between `ports` and report. Ctrl-C ends it; then the report is partial.

    Raises `EngineError` or `CommandError` where not one trial could be run.
    """
    clock, trials = test.bench.clock, test.bench.trials
    host, versions = facts.host(), facts.versions(test.search)
    started_ns = clock.now_ns()
    interrupted, broken = False, ""
    try:
        test.run()
    except KeyboardInterrupt:
        interrupted = True
    except EngineError as error:
        if not trials:
            raise
        broken = str(error)
    report = LinktestReport(
        test=test.kind,
        standard=None,
        settings={},
        ports=ports,
        host=host,
        versions=versions,
        started_ns=started_ns,
        stopped_ns=clock.now_ns(),
        interrupted=interrupted,
        verdict="invalid",
        reasons=((broken,) if broken else ()),
        trials=tuple(trials),
    )
    return conclude(test.fill(report))


def conclude(report: LinktestReport) -> LinktestReport:
    """Return the report with its verdict, and why parts failed, are invalid or not measured.

    A quick test also says up to which load it proved the link.
    """
    parts = list(_parts(report))
    verdicts: list[Verdict] = [part.verdict for part in parts]
    reasons = list(report.reasons)
    if report.reasons:
        verdicts.append("invalid")
    if report.interrupted:
        verdicts.append("invalid")
        reasons.append("the test was interrupted: what follows is what there was by then")
    for part in parts:
        if part.verdict in ("fail", "invalid"):
            reasons += [f"{part.name}: {reason}" for reason in part.reasons]
        elif part.verdict == "not_measured":
            reasons += [f"{part.name}: not measured: {reason}" for reason in part.reasons]
    reasons += [
        f"{check.subject}: {check.summary}" for check in report.checks if check.id == quick.PROVED
    ]
    return replace(report, verdict=worst(verdicts), reasons=tuple(reasons))


def _parts(report: LinktestReport) -> Iterator[Part]:
    """Every part that has a verdict."""
    of_sizes: tuple[tuple[str, Sequence[OfSize]], ...] = (
        ("throughput", report.throughput),
        ("latency", report.latency),
        ("frame loss", report.loss),
        ("back-to-back", report.back_to_back),
        ("recovery", report.recovery),
    )
    for name, results in of_sizes:
        for result in results:
            yield Part(f"{name}, {result.frame_bytes} bytes", result.verdict, result.reasons)
    for service in report.services:
        yield Part(service.service.name, service.verdict, service.reasons)
    if report.soak is not None:
        yield Part("soak", report.soak.verdict, report.soak.reasons)
    for check in report.checks:
        if check.verdict in OF_CHECKS:
            yield Part(check.subject, OF_CHECKS[check.verdict], (check.summary,))
