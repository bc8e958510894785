"""Service activation, ITU-T Y.1564: is each service set up as agreed, and do they hold together?

The configuration test takes one service at a time: 25, 50, 75 and 100 % of the committed rate
(CIR), then with the excess rate (EIR), then beyond both, where the network is to police. The
performance test runs all services at their CIR at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from msgspec.structs import replace

from fieldtap.linktest import figures
from fieldtap.linktest.bench import (
    Bench,
    InvalidTestError,
    directions_of,
    is_doubtful,
    tell_delay,
    tell_doubt,
)
from fieldtap.linktest.judging import Judgement, doubt, judge, worst
from fieldtap.linktest.results import (
    Deviation,
    Service,
    ServiceFigures,
    ServiceResult,
    Standard,
    StepResult,
    Wait,
)
from fieldtap.linktest.trial import Flow, FlowResult, Snapshot, Trial, TrialResult

STEPS_PERCENT = (25, 50, 75, 100)
DEFAULT_STEP_S = 5.0
STANDARD_PERFORMANCE_S = (900.0, 7200.0, 86400.0)

Rule = Callable[[Service, ServiceFigures], list[tuple[str, bool]]]
"""What a step demands of a service: sentences, and whether they hold."""


@dataclass
class Course:
    """Results so far, by service; an interrupted test reports these."""

    services: tuple[Service, ...]
    steps: dict[str, list[StepResult]] = field(default_factory=dict)
    performance: dict[str, StepResult] = field(default_factory=dict)

    def results(self) -> tuple[ServiceResult, ...]:
        """Return what was found of each service that was tested at all."""
        return tuple(self._result(service) for service in self.services if self._parts(service))

    def _parts(self, service: Service) -> list[StepResult]:
        performance = self.performance.get(service.name)
        return [*self.steps.get(service.name, []), *([performance] if performance else [])]

    def _result(self, service: Service) -> ServiceResult:
        parts = self._parts(service)
        verdict = worst(part.verdict for part in parts)
        reasons = [
            f"{part.step}: {reason}"
            for part in parts
            if part.verdict in ("fail", "invalid")
            for reason in part.reasons
        ]
        return ServiceResult(
            service=service,
            configuration=tuple(self.steps.get(service.name, ())),
            performance=self.performance.get(service.name),
            verdict=verdict,
            reasons=tuple(reasons),
        )


class Seconds:
    """Loss ratios second by second, from the snapshots of a running trial."""

    def __init__(self) -> None:
        self.ratios: list[float] = []
        self._from: Snapshot | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        """Take the next snapshot; what is in it counts for the seconds since the last whole one."""
        if self._from is None:
            self._from = snapshot
            return
        seconds = (snapshot.at_ns - self._from.at_ns) // 1_000_000_000
        if seconds < 1:
            return
        sent = snapshot.sent - self._from.sent
        lost = snapshot.lost - self._from.lost
        self.ratios += [min(1.0, max(0.0, lost / sent)) if sent > 0 else 0.0] * seconds
        self._from = snapshot


def configure(bench: Bench, course: Course, step_s: float) -> None:
    """Run the configuration test of each service in turn."""
    for service in course.services:
        steps = course.steps.setdefault(service.name, [])
        for name, rate_bps, rule in _steps(service):
            steps.append(_step(bench, service, name, rate_bps, step_s, rule))


def perform(bench: Bench, course: Course, duration_s: float) -> None:
    """Run all services at their CIR at once."""
    each = (_flows(bench, service, service.cir_bps) for service in course.services)
    trial = Trial(purpose="performance", flows=tuple(chain(*each)), duration_s=duration_s)
    first = len(bench.trials)
    seconds = Seconds()
    try:
        result = bench.run(trial, seconds)
    except InvalidTestError as error:
        _record_invalid(bench, course, str(error), first)
        return
    avail, errored = figures.availability(seconds.ratios)
    for service in course.services:
        seen = tuple(
            _figures(flow, found, duration_s, avail, errored)
            for flow, found in zip(trial.flows, result.flows, strict=True)
            if flow.name == service.name
        )
        judgement = _judge(service, seen, _at_cir, result)
        course.performance[service.name] = _result(
            "performance", service.cir_bps, seen, judgement, bench, first
        )


def _record_invalid(bench: Bench, course: Course, reason: str, first: int) -> None:
    judgement = Judgement("invalid", (reason,))
    for service in course.services:
        course.performance[service.name] = _result(
            "performance", service.cir_bps, (), judgement, bench, first
        )


def _steps(service: Service) -> list[tuple[str, float, Rule]]:
    """The steps that a profile calls for: what each is called, its rate and what it demands."""
    steps: list[tuple[str, float, Rule]] = [
        (f"{percent} % of CIR", service.cir_bps * percent / 100, _at_cir)
        for percent in STEPS_PERCENT
    ]
    if service.eir_bps > 0:
        steps.append(("CIR + EIR", service.cir_bps + service.eir_bps, _above_cir))
    if service.policed:
        steps.append(("policing", policing_bps(service), _policed))
    return steps


def policing_bps(service: Service) -> float:
    """Return the policing step's rate: too much by a quarter of EIR, or of CIR if that is small."""
    if service.eir_bps < 0.2 * service.cir_bps:
        return 1.25 * service.cir_bps + service.eir_bps
    return service.cir_bps + 1.25 * service.eir_bps


def _flows(bench: Bench, service: Service, rate_bps: float) -> tuple[Flow, ...]:
    return tuple(
        Flow(
            name=service.name,
            direction=direction,
            frame_bytes=service.frame_bytes,
            rate_pps=figures.pps(rate_bps, service.frame_bytes),
            vlan_id=service.vlan_id,
            priority=service.priority,
        )
        for direction in directions_of(bench.directions)
    )


def _step(
    bench: Bench, service: Service, name: str, rate_bps: float, step_s: float, rule: Rule
) -> StepResult:
    first = len(bench.trials)
    flows = _flows(bench, service, rate_bps)
    try:
        result = bench.run_verified(Trial(purpose="configuration", flows=flows, duration_s=step_s))
    except InvalidTestError as error:
        return _result(name, rate_bps, (), Judgement("invalid", (str(error),)), bench, first)
    seen = _figures_of(result, step_s)
    judgement = _judge(service, seen, rule, result)
    return _result(name, rate_bps, seen, judgement, bench, first)


def _figures_of(result: TrialResult, duration_s: float) -> tuple[ServiceFigures, ...]:
    return tuple(
        _figures(flow, found, duration_s)
        for flow, found in zip(result.trial.flows, result.flows, strict=True)
    )


def _figures(
    flow: Flow,
    found: FlowResult,
    duration_s: float,
    avail: float | None = None,
    errored_s: int | None = None,
) -> ServiceFigures:
    latency = found.latency_ns
    distinct = found.received - found.duplicate
    return ServiceFigures(
        direction=flow.direction,
        offered_bps=figures.bps(found.sent / duration_s, flow.frame_bytes),
        ir_bps=figures.bps(distinct / duration_s, flow.frame_bytes),
        flr=found.loss_ratio,
        ftd_min_ns=None if latency is None else latency.min,
        ftd_p50_ns=None if latency is None else latency.p50,
        ftd_p999_ns=None if latency is None else latency.p999,
        ftd_max_ns=None if latency is None else latency.max,
        fdv_ns=None if latency is None else latency.p999 - latency.min,
        avail=avail,
        errored_s=errored_s,
    )


def _judge(
    service: Service, seen: Sequence[ServiceFigures], rule: Rule, result: TrialResult
) -> Judgement:
    """Judge by the rule; what would have passed without this machine's lateness is not proved."""
    judgement = judge_step(service, seen, rule)
    in_time = [_in_time(flow, result) for flow in seen]
    if judge_step(service, in_time, rule).verdict == "fail":
        return judgement
    reason = tell_doubt([result]) if is_doubtful(result) else tell_delay(result.late_max_ns)
    return doubt(judgement, reason)


def _in_time(seen: ServiceFigures, result: TrialResult) -> ServiceFigures:
    """Return the best that a sender that is never late may have seen."""
    late_ns = result.late_max_ns
    best = replace(
        seen,
        ftd_p999_ns=None if seen.ftd_p999_ns is None else seen.ftd_p999_ns - late_ns,
        fdv_ns=None if seen.fdv_ns is None else seen.fdv_ns - late_ns,
    )
    return replace(best, flr=0.0, ir_bps=seen.offered_bps) if is_doubtful(result) else best


def judge_step(service: Service, seen: Sequence[ServiceFigures], rule: Rule) -> Judgement:
    """Judge what was seen in each direction by the rule of a step."""
    untimed = any(flow.ftd_p999_ns is None for flow in seen)
    timed = service.ftd_max_ns is not None or service.fdv_max_ns is not None
    if rule is _at_cir and timed and untimed:
        return Judgement("invalid", ("no frame could be timed, and FTD or FDV has a limit",))
    limits = [
        (f"{flow.direction}: {text}", holds) for flow in seen for text, holds in rule(service, flow)
    ]
    return judge(limits)


def _at_cir(service: Service, seen: ServiceFigures) -> list[tuple[str, bool]]:
    """Up to the CIR every limit of the profile must be met."""
    found: list[tuple[str, bool]] = []
    if service.flr_max is not None:
        text = f"FLR {100 * seen.flr:.4g} %, {100 * service.flr_max:g} % allowed"
        found.append((text, seen.flr <= service.flr_max))
    if service.ftd_max_ns is not None and seen.ftd_p999_ns is not None:
        text = f"FTD {seen.ftd_p999_ns / 1000:,.1f} us, {service.ftd_max_ns / 1000:,.1f} us allowed"
        found.append((text, seen.ftd_p999_ns <= service.ftd_max_ns))
    if service.fdv_max_ns is not None and seen.fdv_ns is not None:
        text = f"FDV {seen.fdv_ns / 1000:,.1f} us, {service.fdv_max_ns / 1000:,.1f} us allowed"
        found.append((text, seen.fdv_ns <= service.fdv_max_ns))
    if service.avail_min is not None and seen.avail is not None:
        text = f"available {100 * seen.avail:.4g} %, {100 * service.avail_min:g} % demanded"
        found.append((text, seen.avail >= service.avail_min))
    return found


def _above_cir(service: Service, seen: ServiceFigures) -> list[tuple[str, bool]]:
    """With the EIR as well, only what was committed must come through."""
    if service.flr_max is None:
        return []
    least_bps = service.cir_bps * (1 - service.flr_max)
    text = f"IR {seen.ir_bps / 1e6:.3f} Mbit/s, {least_bps / 1e6:.3f} committed"
    return [(text, seen.ir_bps >= least_bps)]


def _policed(service: Service, seen: ServiceFigures) -> list[tuple[str, bool]]:
    """Beyond both rates, no more than both may come through, give or take the margin."""
    most_bps = service.cir_bps + service.eir_bps + service.margin_bps
    text = f"IR {seen.ir_bps / 1e6:.3f} Mbit/s, at most {most_bps / 1e6:.3f} after policing"
    return [(text, seen.ir_bps <= most_bps), *_above_cir(service, seen)]


def _result(
    name: str,
    rate_bps: float,
    seen: tuple[ServiceFigures, ...],
    judgement: Judgement,
    bench: Bench,
    first: int,
) -> StepResult:
    return StepResult(
        step=name,
        rate_bps=rate_bps,
        figures=seen,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trials=tuple(range(first, len(bench.trials))),
    )


def estimate_s(bench: Bench, services: Sequence[Service], step_s: float, long_s: float) -> float:
    """Return about how long both tests take, in seconds."""
    steps = sum(len(_steps(service)) for service in services)
    return steps * (step_s + bench.waits.around_s) + long_s + bench.waits.around_s


def standard(step_s: float, performance_s: float) -> Standard:
    """Return what the recommendation asks for and how the test differed."""
    found = [
        Deviation(
            "configuration, test D",
            "Bursts of the committed and the excess size (CBS, EBS) are sent.",
            "They are not sent.",
        ),
        Deviation(
            "availability",
            "It is told for each service.",
            "It is told from the losses of all services and directions together.",
        ),
        Deviation(
            "frame transfer delay",
            "Frames are timed between the measurement points.",
            "They are timed by this machine from when they were handed to the port to when they "
            "were received; FTD is the 99.9th percentile, FDV that less the minimum.",
        ),
    ]
    if performance_s not in STANDARD_PERFORMANCE_S:
        found.append(
            Deviation(
                "performance test",
                "It lasts 15 minutes, 2 hours or 24 hours.",
                f"It lasted {performance_s:g} seconds." if performance_s else "It was not run.",
            )
        )
    return Standard(
        name="ITU-T Y.1564",
        title="Ethernet service activation test methodology",
        waits=(
            Wait("a step of the configuration test", "configuration", DEFAULT_STEP_S, step_s),
            Wait("the performance test", "performance", STANDARD_PERFORMANCE_S[0], performance_s),
        ),
        deviations=tuple(found),
    )
