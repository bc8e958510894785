"""Link tests over a simulated device: what it does is known, so what they find can be judged."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import get_args

import pytest
from fieldtap.linktest import figures, session
from fieldtap.linktest.bench import SHORT_WAITS, STANDARD_WAITS, Bench
from fieldtap.linktest.kinds import QuickTest, Rfc2544Test, SoakTest, Y1564Test
from fieldtap.linktest.outages import Links, Look
from fieldtap.linktest.results import Directions, LinktestReport, Service
from fieldtap.linktest.settings import STANDARD_SIZES, Limits, Part, Search, Settings, shorten
from fieldtap.linktest.trial import Snapshot, Trial, TrialResult, Watch
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Verdict
from msgspec.structs import replace
from simulated_device import BEGIN_NS, SimulatedClock, SimulatedDevice


class Silent:
    """A listener that hears nothing."""

    def begins(self, trial: Trial) -> None:
        pass

    def goes_on(self, trial: Trial, snapshot: Snapshot) -> None:
        pass

    def ended(self, result: TrialResult) -> None:
        pass


def port(name: str, *, carrier: bool = True) -> Port:
    return Port(
        name=name,
        index=1,
        virtual=True,
        model=None,
        driver="simulated",
        driver_version=None,
        firmware=None,
        bus=None,
        bus_address=None,
        pci=(),
        numa_node=None,
        mac=None,
        mtu_bytes=9216,
        speed_bps=10_000_000_000,
        up=True,
        carrier=carrier,
        rx_queues=1,
        tx_queues=1,
        timestamping=None,
        master=None,
        stacked=(),
        addresses=(),
        default_route=False,
        forwarding=False,
        ipv6_autoconfigures=False,
    )


PORTS = (port("sim0"), port("sim1"))


@pytest.fixture(autouse=True)
def no_engine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldtap.linktest.facts._engine", lambda: "simulated")


def bench(device: SimulatedDevice, directions: Directions = "a-b", attempts: int = 3) -> Bench:
    return Bench(device, device.clock, STANDARD_WAITS, directions, attempts, Silent())


def rfc2544(
    device: SimulatedDevice,
    parts: Iterable[Part],
    *,
    sizes: tuple[int, ...] = (64,),
    directions: Directions = "a-b",
    search: Search = "mlr",
    limits: Limits = Limits(),  # noqa: B008  frozen
    short: bool = False,
) -> LinktestReport:
    settings = Settings(tuple(parts), sizes, directions, search=search, limits=limits)
    if short:
        settings = shorten(settings)
    test = Rfc2544Test("rfc2544", bench(device, directions), settings, device.line_bps)
    return session.run(test, PORTS)


@pytest.mark.parametrize("search", get_args(Search))
@pytest.mark.parametrize("seed", range(100))
def test_throughput_is_found_within_the_stated_precision(seed: int, search: Search) -> None:
    """For devices of any rate and buffer, on any line, with spoiled trials in between."""
    random = Random(seed)
    size = random.choice(STANDARD_SIZES)
    line_bps = random.choice((1e9, 10e9, 25e9))
    line = figures.line_pps(line_bps, size)
    device = SimulatedDevice(
        SimulatedClock(),
        line_bps=line_bps,
        cap_pps=line * random.choice((random.uniform(0.001, 1.2), 10 ** random.uniform(-3, 0))),
        depth_frames=random.choice((0.0, random.uniform(1, 4000))),
        duplicate_ratio=random.choice((0.0, 0.001)),
        reorder_ratio=random.choice((0.0, 0.01)),
        latency_ns=random.randrange(1_000, 1_000_000),
        spoiled=["the link went down"] * random.choice((0, 0, 1, 2)),
        random=random,
    )
    report = rfc2544(device, ["throughput"], sizes=(size,), search=search)
    (found,) = report.throughput
    assert device.cap_pps is not None
    truth = min(line, device.cap_pps + device.depth_frames / 60)
    assert found.rate_pps is not None
    one_frame = 1 / 60
    assert truth * (1 - found.precision) - one_frame <= found.rate_pps <= truth + one_frame
    if found.upper_pps is not None:
        assert found.upper_pps - found.rate_pps <= found.precision * found.upper_pps * (1 + 1e-9)
    proofs = [
        result
        for result in report.trials
        if result.valid
        and result.trial.duration_s == 60
        and result.trial.flows[0].rate_pps == pytest.approx(found.rate_pps)
    ]
    assert any(result.lost == 0 for result in proofs)


def test_mlr_searches_faster_than_bisection() -> None:
    took = {}
    for search in get_args(Search):
        clock = SimulatedClock()
        device = SimulatedDevice(clock, cap_pps=9.37e6)
        before = clock.ns
        rfc2544(device, ["throughput"], search=search)
        took[search] = clock.ns - before
    assert took["mlr"] < took["bisection"] / 2


def test_a_device_that_loses_at_random_has_no_throughput() -> None:
    device = SimulatedDevice(SimulatedClock(), loss_ratio=0.01, random=Random(1))
    (found,) = rfc2544(device, ["throughput"], search="bisection").throughput
    assert found.rate_pps is None
    assert "no rate came through without loss" in found.reasons


def test_a_link_that_flaps_at_the_far_end_has_no_throughput() -> None:
    device = SimulatedDevice(SimulatedClock(), down_s=2, down_period_s=20)
    (found,) = rfc2544(device, ["throughput"]).throughput
    assert found.rate_pps is None


def test_a_device_faster_than_the_line_reaches_line_rate() -> None:
    report = rfc2544(
        SimulatedDevice(SimulatedClock()), ["throughput"], limits=Limits(throughput_percent=100)
    )
    (found,) = report.throughput
    assert found.rate_pps == pytest.approx(14_880_952, abs=1)
    assert found.upper_pps is None
    assert report.verdict == "ok"


def test_a_machine_that_is_slower_than_the_line_says_so() -> None:
    device = SimulatedDevice(SimulatedClock(), sender_pps=1e6)
    report = rfc2544(device, ["throughput"])
    (found,) = report.throughput
    assert found.highest_pps == pytest.approx(0.8e6)
    assert found.rate_pps == pytest.approx(0.8e6)
    assert any("it may carry more" in reason for reason in found.reasons)
    assert report.standard is not None
    assert any("does not reach it" in deviation.done for deviation in report.standard.deviations)


def test_a_receiver_that_is_too_slow_is_not_blamed_on_the_link() -> None:
    device = SimulatedDevice(SimulatedClock(), receiver_pps=2e6, cap_pps=1e6)
    (found,) = rfc2544(device, ["throughput"]).throughput
    assert found.rate_pps == pytest.approx(1e6, rel=0.005)
    slow = SimulatedDevice(SimulatedClock(), receiver_pps=1e6)
    (found,) = rfc2544(slow, ["throughput"]).throughput
    assert found.verdict != "fail"
    assert found.upper_pps is None


def test_trials_that_stay_invalid_make_the_test_invalid_with_the_reason() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6, spoiled=["killed"] * 40)
    report = rfc2544(device, get_args(Part), limits=Limits(throughput_percent=50))
    assert report.verdict == "invalid"
    assert "killed" in " ".join(report.reasons)
    assert report.throughput[0].rate_pps is None
    assert sum(not result.valid for result in report.trials) >= 3


def test_loss_that_a_late_sender_caused_is_looked_at_again() -> None:
    device = SimulatedDevice(SimulatedClock(), late_trials=2)
    (found,) = rfc2544(device, ["throughput"]).throughput
    assert found.rate_pps == pytest.approx(14_880_952, abs=1)
    assert any("ms late" in reason for reason in found.reasons)


def test_loss_that_comes_back_counts_though_the_sender_was_late() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6, late_trials=10_000)
    (found,) = rfc2544(device, ["throughput"]).throughput
    assert found.rate_pps is None
    assert any("ms late" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("part", "limit"),
    [("throughput", {"throughput_percent": 95.0}), ("loss", {"loss_percent": 0.0})],
)
def test_loss_that_a_late_sender_may_have_caused_never_fails_a_test(
    part: Part, limit: dict[str, float]
) -> None:
    device = SimulatedDevice(SimulatedClock(), late_trials=10_000)
    report = rfc2544(device, [part], limits=Limits(**limit))
    assert report.verdict == "invalid"
    assert "not proved: this machine sent frames up to 20.0 ms late" in report.reasons[0]


@pytest.mark.parametrize(
    ("part", "limit"),
    [("throughput", {"throughput_percent": 95.0}), ("loss", {"loss_percent": 0.0})],
)
def test_more_loss_than_a_late_sender_explains_fails_a_test(
    part: Part, limit: dict[str, float]
) -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6, late_trials=10_000)
    report = rfc2544(device, [part], limits=Limits(**limit))
    assert report.verdict == "fail"


@dataclass
class LateTester(SimulatedDevice):
    """One whose tester sends late in the trials of one purpose."""

    purpose: str = ""

    def run(self, trial: Trial, watch: Watch) -> TrialResult:
        self.late_trials = int(trial.purpose == self.purpose)
        return super().run(trial, watch)


class SlowBursts(SimulatedDevice):
    """One whose tester sends bursts at half its top speed."""

    def run(self, trial: Trial, watch: Watch) -> TrialResult:
        result = super().run(trial, watch)
        if trial.purpose != "back-to-back":
            return result
        flows = tuple(replace(flow, sent_pps=flow.sent_pps / 2) for flow in result.flows)
        return replace(result, flows=flows)


@pytest.mark.parametrize(("latency_ns", "verdict"), [(50_000, "invalid"), (30_000_000, "fail")])
def test_only_latency_beyond_what_a_late_sender_explains_fails_a_test(
    latency_ns: int, verdict: str
) -> None:
    device = LateTester(SimulatedClock(), latency_ns=latency_ns, purpose="latency")
    report = rfc2544(device, ["throughput", "latency"], limits=Limits(latency_ns=10_000))
    (found,) = report.latency
    assert found.verdict == verdict
    assert any("20.0 ms late" in reason for reason in found.reasons)


def test_latency_that_is_met_says_that_the_sender_was_late() -> None:
    device = LateTester(SimulatedClock(), purpose="latency")
    report = rfc2544(device, ["throughput", "latency"], limits=Limits(latency_ns=1e6))
    (found,) = report.latency
    assert found.verdict == "ok"
    assert any("caused the longest latencies" in reason for reason in found.reasons)


@pytest.mark.parametrize(("tester", "is_told"), [(SimulatedDevice, False), (SlowBursts, True)])
def test_bursts_that_were_sent_slowly_are_told(
    tester: type[SimulatedDevice], is_told: bool
) -> None:
    line = figures.line_pps(10e9, 64)
    device = tester(SimulatedClock(), cap_pps=0.6 * line, depth_frames=5000)
    (found,) = rfc2544(device, ["throughput", "back-to-back"]).back_to_back
    assert found.mean_frames is not None
    assert any("were sent below top speed" in reason for reason in found.reasons) == is_told


def test_a_limit_that_is_not_met_fails_the_test() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6)
    report = rfc2544(device, ["throughput"], limits=Limits(throughput_percent=95))
    assert report.verdict == "fail"
    assert "95 % demanded" in report.reasons[0]


def test_without_limits_figures_are_only_measured() -> None:
    report = rfc2544(SimulatedDevice(SimulatedClock(), cap_pps=1e6), ["throughput", "latency"])
    assert report.verdict == "measured"


def test_frame_loss_goes_down_until_two_loads_are_clean() -> None:
    line = figures.line_pps(10e9, 64)
    device = SimulatedDevice(SimulatedClock(), cap_pps=0.75 * line)
    (found,) = rfc2544(device, ["loss"]).loss
    assert [point.percent_of_line for point in found.points] == pytest.approx([100, 90, 80, 70, 60])
    assert [point.loss_percent for point in found.points] == pytest.approx(
        [25, 100 * 15 / 90, 100 * 5 / 80, 0, 0], abs=1e-4
    )
    for point in found.points:
        assert point.sent == point.received + point.lost


def test_random_loss_and_copies_are_told_apart() -> None:
    device = SimulatedDevice(
        SimulatedClock(),
        loss_ratio=0.02,
        duplicate_ratio=0.01,
        reorder_ratio=0.03,
        random=Random(7),
    )
    report = rfc2544(device, ["loss"], sizes=(1518,), short=True)
    for result in report.trials:
        (flow,) = result.flows
        assert flow.sent == flow.received - flow.duplicate + flow.lost
    (found,) = report.loss
    assert len(found.points) == 10
    assert all(point.loss_percent == pytest.approx(2, rel=0.1) for point in found.points)
    assert any("came twice" in reason for reason in found.reasons)
    assert any("out of order" in reason for reason in found.reasons)


def test_bursts_tell_the_buffer_of_a_device() -> None:
    line = figures.line_pps(10e9, 64)
    device = SimulatedDevice(SimulatedClock(), cap_pps=0.6 * line, depth_frames=5000)
    report = rfc2544(device, ["throughput", "back-to-back"], short=True)
    (found,) = report.back_to_back
    longest = 5000 / (1 - 0.6)
    assert found.mean_frames == pytest.approx(longest, rel=0.01)
    assert found.burst_pps is not None
    assert found.implied_buffer_s == pytest.approx(longest / line, rel=0.01)
    assert found.corrected_buffer_s == pytest.approx(5000 / line, rel=0.03)
    assert found.min_frames is not None
    assert found.max_frames is not None
    assert found.min_frames <= longest <= found.max_frames * 1.01


def test_a_size_at_line_rate_fills_no_buffer() -> None:
    report = rfc2544(SimulatedDevice(SimulatedClock()), ["throughput", "back-to-back", "recovery"])
    (found,) = report.back_to_back
    assert found.skipped is not None
    assert found.mean_frames is None
    assert found.verdict == "not_measured"
    assert report.recovery[0].verdict == "not_measured"
    assert report.verdict == "measured"
    assert "recovery, 64 bytes: not measured: nothing that can" in report.reasons[1]


@pytest.mark.parametrize("recovery_s", [0.0, 1.0, 2.5])
def test_recovery_is_the_time_to_the_last_loss(recovery_s: float) -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6, recovery_s=recovery_s, look_s=0.05)
    (found,) = rfc2544(device, ["throughput", "recovery"], short=True).recovery
    assert found.recovery_s is not None
    assert found.resolution_s is not None
    assert abs(found.recovery_s - recovery_s) <= 2 * found.resolution_s + 1e-6
    assert found.overload_pps == pytest.approx(1.1e6, rel=0.01)


def test_a_device_that_never_recovers_is_not_said_to() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6, recovery_s=1000, look_s=0.05)
    report = rfc2544(device, ["throughput", "recovery"], short=True, limits=Limits(recovery_s=1))
    assert report.recovery[0].recovery_s is None
    assert report.verdict == "fail"


def test_latency_is_measured_at_the_throughput_and_judged() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6, latency_ns=50_000, jitter_ns=10_000)
    report = rfc2544(device, ["throughput", "latency"], limits=Limits(latency_ns=60_000))
    (found,) = report.latency
    assert found.rate_pps == report.throughput[0].rate_pps
    assert found.repetitions == 20
    assert found.mean_ns == 55_000
    assert (found.min_ns, found.max_ns) == (50_000, 60_000)
    assert report.verdict == "ok"


def test_both_directions_are_loaded_at_once() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6)
    report = rfc2544(device, ["throughput"], directions="both")
    assert report.throughput[0].rate_pps == pytest.approx(1e6, rel=0.005)
    assert {flow.direction for flow in report.trials[-1].trial.flows} == {"a-b", "b-a"}


def test_every_wait_of_the_standard_is_kept() -> None:
    clock = SimulatedClock()
    device = SimulatedDevice(clock)
    began = clock.ns
    report = rfc2544(device, ["throughput"])
    sending = sum(result.stopped_ns - result.started_ns for result in report.trials)
    assert device.taught == len(report.trials)
    assert clock.ns - began - sending == len(report.trials) * 7_000_000_000


def test_the_short_mode_states_what_it_leaves_out() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6)
    report = rfc2544(device, get_args(Part), short=True)
    assert report.standard is not None
    said = {deviation.clause for deviation in report.standard.deviations}
    assert {"23", "24", "26.2", "26.4", "26.5", "26.6"} <= said
    for wait in report.standard.waits:
        assert wait.used_s <= wait.standard_s


def test_an_interrupted_test_keeps_what_it_found() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=1e6, interrupt_after=12)
    report = rfc2544(device, ["throughput"], sizes=(64, 128, 256))
    assert report.interrupted
    assert report.verdict == "invalid"
    assert len(report.throughput) == 1
    assert len(report.trials) == 12


# --- services -----------------------------------------------------------------------------------

VOICE = Service(
    name="voice",
    frame_bytes=128,
    cir_bps=10e6,
    eir_bps=5e6,
    policed=True,
    margin_bps=0.1e6,
    flr_max=0.001,
    ftd_max_ns=100_000,
    fdv_max_ns=50_000,
    avail_min=0.999,
)


def y1564(
    device: SimulatedDevice, *services: Service, performance_s: float = 900
) -> LinktestReport:
    test = Y1564Test(bench(device), services, 5.0, performance_s)
    return session.run(test, PORTS)


def test_a_service_that_is_policed_at_its_rates_passes() -> None:
    device = SimulatedDevice(SimulatedClock(), cap_pps=figures.pps(15e6, 128))
    report = y1564(device, VOICE)
    assert report.verdict == "ok"
    (service,) = report.services
    steps = [step.step for step in service.configuration]
    assert steps == [
        "25 % of CIR",
        "50 % of CIR",
        "75 % of CIR",
        "100 % of CIR",
        "CIR + EIR",
        "policing",
    ]
    assert service.performance is not None
    assert service.performance.figures[0].avail == 1.0


def test_a_service_that_nobody_polices_fails_at_that_step() -> None:
    report = y1564(SimulatedDevice(SimulatedClock()), VOICE)
    assert report.verdict == "fail"
    verdicts = {step.step: step.verdict for step in report.services[0].configuration}
    assert verdicts.pop("policing") == "fail"
    assert set(verdicts.values()) == {"ok"}


def test_a_service_that_gets_less_than_its_committed_rate_fails() -> None:
    report = y1564(SimulatedDevice(SimulatedClock(), cap_pps=figures.pps(9e6, 128)), VOICE)
    assert report.verdict == "fail"
    verdicts = {step.step: step.verdict for step in report.services[0].configuration}
    assert verdicts["75 % of CIR"] == "ok"
    assert verdicts["100 % of CIR"] == "fail"


def test_a_service_that_is_too_slow_fails_by_its_delay() -> None:
    device = SimulatedDevice(
        SimulatedClock(), cap_pps=figures.pps(15e6, 128), latency_ns=90_000, jitter_ns=60_000
    )
    report = y1564(device, VOICE)
    assert report.verdict == "fail"
    assert any("FTD" in reason for reason in report.reasons)
    assert any("FDV" in reason for reason in report.reasons)


@pytest.mark.parametrize("purpose", ["configuration", "performance"])
@pytest.mark.parametrize(("latency_ns", "verdict"), [(150_000, "invalid"), (30_000_000, "fail")])
def test_only_delay_beyond_what_a_late_sender_explains_fails_a_service(
    purpose: str, latency_ns: int, verdict: str
) -> None:
    data = Service(name="data", frame_bytes=512, cir_bps=1e6, ftd_max_ns=100_000)
    device = LateTester(SimulatedClock(), latency_ns=latency_ns, purpose=purpose)
    (service,) = y1564(device, data).services
    assert service.performance is not None
    found = service.performance if purpose == "performance" else service.configuration[0]
    assert found.verdict == verdict


def test_loss_in_the_performance_test_that_a_late_sender_may_have_caused_is_not_proved() -> None:
    data = Service(name="data", frame_bytes=512, cir_bps=1e6, flr_max=0.0)
    (service,) = y1564(LateTester(SimulatedClock(), purpose="performance"), data).services
    assert service.performance is not None
    assert service.performance.verdict == "invalid"


def test_a_late_sender_is_no_excuse_for_a_service_that_nobody_polices() -> None:
    report = y1564(LateTester(SimulatedClock(), purpose="configuration"), VOICE)
    steps = {step.step: step.verdict for step in report.services[0].configuration}
    assert steps["policing"] == "fail"


def test_an_outage_of_a_minute_is_not_available() -> None:
    device = SimulatedDevice(
        SimulatedClock(), cap_pps=figures.pps(15e6, 128), down_s=60, down_period_s=900
    )
    report = y1564(device, VOICE)
    performance = report.services[0].performance
    assert performance is not None
    assert performance.verdict == "fail"
    assert performance.figures[0].avail == pytest.approx(1 - 60 / 900, abs=0.003)


def test_several_services_run_together_in_the_performance_test() -> None:
    data = Service(name="data", frame_bytes=1518, cir_bps=100e6)
    report = y1564(SimulatedDevice(SimulatedClock()), data, VOICE, performance_s=60)
    last = report.trials[-1]
    assert [flow.name for flow in last.trial.flows] == ["data", "voice"]
    assert report.services[0].verdict == "measured"


# --- quick and soak -----------------------------------------------------------------------------


def quick_report(device: SimulatedDevice, **grown: int) -> LinktestReport:
    """Run the quick test; each port's counters have `grown` by its end."""
    after = grown or {"rx_errors": 0}
    readings = iter([dict.fromkeys(after, 0)] * 2 + [after] * 2)
    short = Bench(device, device.clock, SHORT_WAITS, "both", 2, Silent())
    test = QuickTest(short, PORTS, device.line_bps, read_counters=lambda _: next(readings))
    assert test.estimate_s() < 60
    return session.run(test, PORTS)


def test_a_clean_link_is_clean_in_less_than_a_minute() -> None:
    clock = SimulatedClock()
    began = clock.ns
    report = quick_report(SimulatedDevice(clock))
    assert report.verdict == "ok"
    assert clock.ns - began < 60e9
    assert {check.verdict for check in report.checks} == {Verdict.OK}
    assert report.reasons == ("highest load proved: 100 % of the line, 64 bytes at top speed",)


def test_a_link_that_was_hardly_loaded_is_said_to_be() -> None:
    report = quick_report(SimulatedDevice(SimulatedClock(), sender_pps=2000))
    assert report.verdict == "ok"
    (reason,) = report.reasons
    assert reason.startswith("highest load proved: 0.")
    assert "hardly any load" in reason


def test_what_a_late_sender_may_have_lost_is_no_fault_of_a_link() -> None:
    report = quick_report(SimulatedDevice(SimulatedClock(), late_trials=10_000))
    assert report.verdict == "invalid"
    loads = [check for check in report.checks if check.id == "link.load"]
    assert {check.verdict for check in loads} == {Verdict.UNKNOWN}
    assert all("may have caused the loss itself" in check.summary for check in loads)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"loss_ratio": 1e-4}, "lost"),
        ({"corrupt_ratio": 1e-4}, "corrupt"),
        ({"duplicate_ratio": 1e-4}, "duplicate"),
        ({"reorder_ratio": 1e-4}, "reordered"),
        ({"down_s": 1.0, "down_period_s": 7.0}, "lost"),
    ],
)
def test_a_fault_of_a_link_is_named(fault: dict[str, float], said: str) -> None:
    device = SimulatedDevice(SimulatedClock(), random=Random(3))
    for name, value in fault.items():
        setattr(device, name, value)
    report = quick_report(device)
    assert report.verdict == "fail"
    assert any(said in reason for reason in report.reasons)


def test_errors_that_a_port_counts_fail_a_link_that_lost_nothing() -> None:
    report = quick_report(SimulatedDevice(SimulatedClock()), rx_crc_errors=3)
    assert report.verdict == "fail"
    assert "sim0: rx_crc_errors grew by 3" in report.reasons


def test_a_flood_that_this_machine_cannot_receive_is_not_judged() -> None:
    report = quick_report(SimulatedDevice(SimulatedClock(), receiver_pps=5e5))
    assert report.verdict == "ok"
    floods = [check for check in report.checks if check.id == "link.flood"]
    assert Verdict.NOT_APPLICABLE in {check.verdict for check in floods}


def test_a_port_without_a_link_fails_before_any_trial() -> None:
    device = SimulatedDevice(SimulatedClock())
    ports = (port("sim0"), port("sim1", carrier=False))
    report = session.run(QuickTest(bench(device), ports, device.line_bps), ports)
    assert report.verdict == "fail"
    assert report.trials == ()


def soak(
    device: SimulatedDevice,
    *,
    rate: str = "50%",
    duration_s: float = 3600,
    look: Look = lambda: Links((), 0),
) -> LinktestReport:
    steady = Bench(device, device.clock, SHORT_WAITS, "a-b", 1, Silent())
    return session.run(SoakTest(steady, 512, rate, duration_s, 0.0, device.line_bps, look), PORTS)


def test_a_soak_tells_when_frames_were_lost() -> None:
    device = SimulatedDevice(SimulatedClock(), down_s=3, down_period_s=1200)
    report = soak(device)
    assert report.verdict == "fail"
    assert report.soak is not None
    assert len(report.soak.course) == pytest.approx(360, abs=2)
    outages = {(record.from_ns // 10**9) % 1200 for record in report.soak.losses}
    assert outages <= {0, 1, 2, 3}
    assert sum(record.lost for record in report.soak.losses) == report.soak.lost
    assert sum(record.lost for record in report.soak.course) == report.soak.lost


def test_a_soak_whose_loss_a_late_sender_may_have_caused_is_not_proved() -> None:
    report = soak(SimulatedDevice(SimulatedClock(), late_trials=10))
    assert report.verdict == "invalid"
    assert "not proved: this machine sent frames up to 20.0 ms late" in report.reasons[0]


def test_a_soak_without_loss_is_ok() -> None:
    report = soak(SimulatedDevice(SimulatedClock()), rate="1Gbps")
    assert report.verdict == "ok"
    assert report.soak is not None
    assert report.soak.losses == ()
    assert report.soak.sent == math.floor(report.soak.rate_pps * 3600)


def test_a_soak_that_is_spoiled_is_invalid_and_not_repeated() -> None:
    device = SimulatedDevice(SimulatedClock(), spoiled=["the link went down"])
    report = soak(device, rate="10kpps")
    assert report.verdict == "invalid"
    assert len(report.trials) == 1
    assert "the link went down" in report.reasons[0]


@dataclass
class FlappingLink:
    """A tester whose link is away at times, given in seconds after the begin.

    As the engine does, it ends a run that is without a link for two seconds, and makes one invalid
    in which the link was away for less.
    """

    device: SimulatedDevice
    away_s: tuple[tuple[float, float], ...]

    def look(self) -> Links:
        now_s = (self.device.clock.ns - BEGIN_NS) / 1e9
        changes = sum((now_s >= begin) + (now_s >= end) for begin, end in self.away_s)
        down = any(begin <= now_s < end for begin, end in self.away_s)
        return Links(("sim0",) if down else (), changes)

    def run(self, trial: Trial, watch: Watch) -> TrialResult:
        began_s = (self.device.clock.ns - BEGIN_NS) / 1e9
        if trial.duration_s is None:
            return self.device.run(trial, watch)
        for begin, end in self.away_s:
            if end - begin > 2 and began_s <= begin < began_s + trial.duration_s:
                trial = replace(trial, duration_s=begin + 2 - began_s)
                break
        touched = any(
            began_s <= begin < began_s + (trial.duration_s or 0) for begin, _ in self.away_s
        )
        result = self.device.run(trial, watch)
        reason = "the link of port sim0 went down" if touched else None
        return replace(result, valid=not touched, invalid_reason=reason)


def flapping_soak(*away_s: tuple[float, float], duration_s: float = 3600) -> LinktestReport:
    tester = FlappingLink(SimulatedDevice(SimulatedClock()), away_s)
    steady = Bench(tester, tester.device.clock, SHORT_WAITS, "a-b", 1, Silent())
    test = SoakTest(steady, 512, "1Mbps", duration_s, 0.0, 10e9, tester.look)
    return session.run(test, PORTS)


def test_a_soak_goes_on_after_an_outage_and_fails_for_it() -> None:
    report = flapping_soak((600.0, 630.0), (1800.0, 1801.0))
    assert report.verdict == "fail"
    assert report.stopped_ns - report.started_ns == pytest.approx(3600e9, abs=10e9)
    assert report.soak is not None
    long, short = report.soak.outages
    assert (long.from_ns - BEGIN_NS) / 1e9 == pytest.approx(600, abs=2)
    assert (long.to_ns - BEGIN_NS) / 1e9 == pytest.approx(630, abs=2)
    assert (short.to_ns - BEGIN_NS) / 1e9 == pytest.approx(1801, abs=2)
    assert "link down" in report.reasons[0]
    assert [round(trial.trial.duration_s or 0) for trial in report.trials] == [602, 2970]
    sent = sum(trial.sent for trial in report.trials)
    assert report.soak.sent == sent == sum(record.sent for record in report.soak.course)


def test_a_soak_whose_link_never_comes_back_ends_with_its_time() -> None:
    report = flapping_soak((600.0, 1e9), duration_s=1200)
    assert report.verdict == "fail"
    assert report.soak is not None
    (outage,) = report.soak.outages
    assert outage.ports == ("sim0",)
    assert outage.to_ns - BEGIN_NS == pytest.approx(1200e9, abs=5e9)


def test_what_a_port_does_between_two_runs_is_no_outage() -> None:
    """An adapter that is opened or left may reset its link."""
    report = flapping_soak((0.05, 0.09), duration_s=60)
    assert report.verdict == "ok"
    assert report.soak is not None
    assert report.soak.outages == ()
