"""What the console's tests share: a report of a link test in which every part was run."""

from collections.abc import Callable

import pytest
from fieldtap.linktest.results import (
    BackToBackResult,
    Deviation,
    Host,
    LatencyResult,
    LinktestReport,
    LossPoint,
    LossResult,
    Occasion,
    RecoveryResult,
    Service,
    ServiceFigures,
    ServiceResult,
    SoakRecord,
    SoakResult,
    Standard,
    StepResult,
    ThroughputResult,
    Versions,
    Wait,
)
from fieldtap.linktest.trial import Flow, FlowResult, Trial, TrialResult
from fieldtap_core.reports import Latency
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Verdict

BEGAN_NS = 1_795_000_000_123_456_789

MakeReport = Callable[[str], LinktestReport]


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """Return what makes a report of every part, with the same text wherever a text may be."""
    return a_report


def a_report(text: str) -> LinktestReport:
    return LinktestReport(
        test="rfc2544",
        occasion=Occasion(customer=text, site=text, operator=text, notes=text),
        standard=Standard(
            name="RFC 2544",
            title="Benchmarking Methodology for Network Interconnect Devices",
            waits=(Wait("learning", "23", 2.0, 0.1),),
            deviations=(Deviation("24", text, text),),
        ),
        settings={"sizes": (64, 1518), "note": text, "short": True, "precision": 0.005},
        ports=(a_port(text), a_port("eth3")),
        host=Host(
            name=text, processor=text, processors=2, governor=None, clock_source="tsc"
        ),
        versions=Versions(fieldtap="0.1", engine=text, kernel=text, python="3.11", search=None),
        started_ns=BEGAN_NS,
        stopped_ns=BEGAN_NS + 90_000_000_000,
        interrupted=False,
        verdict="fail",
        reasons=(text,),
        throughput=(a_throughput(64, text), a_throughput(1518, text)),
        latency=(a_latency(64, text), a_latency(1518, text)),
        loss=(a_loss(64, text), a_loss(1518, text)),
        back_to_back=(a_burst(64, text), a_burst(1518, text)),
        recovery=(a_recovery(text),),
        services=(a_service(text),),
        soak=a_soak(text),
        checks=(Check("port.link", text, Verdict.WARN, text, {}, text),),
        trials=(a_trial(text), a_failed_trial(text)),
    )  # fmt: skip


def a_port(name: str) -> Port:
    return Port(
        name=name,
        index=7,
        virtual=False,
        model=f"{name} adapter",
        driver="ixgbe",
        driver_version=name,
        firmware=name,
        bus="pci",
        bus_address="0000:03:00.0",
        pci=(),
        numa_node=None,
        mac="02:00:00:00:00:01",
        mtu_bytes=1500,
        speed_bps=10_000_000_000,
        up=True,
        carrier=True,
        rx_queues=4,
        tx_queues=4,
        timestamping=None,
        master=None,
        stacked=(),
        addresses=(),
        default_route=False,
        forwarding=False,
        ipv6_autoconfigures=False,
    )


def a_throughput(frame_bytes: int, text: str) -> ThroughputResult:
    line_pps = 10e9 / 8 / (frame_bytes + 20)
    return ThroughputResult(
        frame_bytes=frame_bytes,
        line_pps=line_pps,
        highest_pps=line_pps / 1.5,
        rate_pps=line_pps / 3,
        upper_pps=line_pps / 2.99,
        precision=0.005,
        rate_bps=line_pps / 3 * frame_bytes * 8,
        percent_of_line=100 / 3,
        verdict="fail",
        reasons=(text, text),
        trials=(0,),
    )


def a_latency(frame_bytes: int, text: str) -> LatencyResult:
    return LatencyResult(
        frame_bytes=frame_bytes,
        rate_pps=1234567.875,
        repetitions=20,
        samples=123_456_789,
        mean_ns=5012.25,
        deviation_ns=0.5,
        min_ns=4100,
        p50_ns=5000,
        p99_ns=9001,
        p999_ns=20_002,
        max_ns=1_234_567,
        source=text,
        verdict="measured",
        reasons=(),
        trials=(0,),
    )


def a_loss(frame_bytes: int, text: str) -> LossResult:
    points = [
        LossPoint(
            percent_of_highest=load,
            percent_of_line=load,
            rate_pps=load * 8123.25,
            sent=1_000_000,
            received=1_000_000 - lost,
            lost=lost,
            loss_percent=lost / 10_000,
        )
        for load, lost in ((100.0, 123_456), (90.0, 7), (80.0, 0))
    ]
    return LossResult(
        frame_bytes=frame_bytes,
        line_pps=812_325.0,
        points=tuple(points),
        verdict="ok",
        reasons=(text,),
        trials=(0,),
    )


def a_burst(frame_bytes: int, text: str) -> BackToBackResult:
    return BackToBackResult(
        frame_bytes=frame_bytes,
        line_pps=14_880_952.38,
        burst_pps=13_000_000.5,
        throughput_pps=4_000_000.5,
        skipped=None,
        repetitions=50,
        mean_frames=26_700.25,
        min_frames=25_500,
        max_frames=30_000,
        deviation_frames=123.5,
        implied_buffer_s=0.00179,
        corrected_buffer_s=0.00131,
        verdict="measured",
        reasons=(text,),
        trials=(0,),
    )


def a_recovery(text: str) -> RecoveryResult:
    return RecoveryResult(
        frame_bytes=64,
        throughput_pps=4_000_000.5,
        overload_pps=4_400_000.5,
        reduced_pps=2_200_000.25,
        recovery_s=0.125,
        resolution_s=0.05,
        verdict="measured",
        reasons=(text,),
        trials=(0,),
    )


def a_service(text: str) -> ServiceResult:
    figures = ServiceFigures(
        direction="a-b",
        offered_bps=50e6,
        ir_bps=49_999_000.5,
        flr=0.00002,
        ftd_min_ns=1000,
        ftd_p50_ns=2000,
        ftd_p999_ns=5000,
        ftd_max_ns=90_000,
        fdv_ns=4000,
        avail=1.0,
        errored_s=0,
    )
    step = StepResult(
        step="50 % of CIR",
        rate_bps=50e6,
        figures=(figures,),
        verdict="ok",
        reasons=(text,),
        trials=(0,),
    )
    service = Service(name=text, frame_bytes=512, cir_bps=100e6, flr_max=0.0001)
    return ServiceResult(
        service=service, configuration=(step,), performance=step, verdict="ok", reasons=(text,)
    )


def a_soak(text: str) -> SoakResult:
    course = [
        SoakRecord(
            from_ns=BEGAN_NS + hour * 3_600_000_000_000,
            to_ns=BEGAN_NS + (hour + 1) * 3_600_000_000_000,
            sent=1000,
            received=1000 - hour,
            lost=hour,
        )
        for hour in range(3)
    ]
    return SoakResult(
        frame_bytes=512,
        rate_pps=1000.0,
        sent=3000,
        lost=3,
        loss_percent=0.1,
        course=tuple(course),
        losses=tuple(course[1:]),
        verdict="fail",
        reasons=(text,),
        trials=(0,),
    )


def a_trial(text: str) -> TrialResult:
    flow = Flow(name=text, direction="a-b", frame_bytes=64, rate_pps=4_000_000.5)
    result = FlowResult(
        offered=240_000_030,
        sent=240_000_030,
        received=240_000_023,
        lost=7,
        receiver_dropped=0,
        duplicate=1,
        reordered=2,
        corrupt=3,
        foreign=4,
        sent_pps=4_000_000.4375,
        latency_ns=Latency(240_000_023, 4100, 5000, 9001, 20_002, 1_234_567, text),
        backend="afpacket",
        mode=text,
    )
    return TrialResult(
        trial=Trial(purpose="throughput", flows=(flow,), duration_s=60.0),
        started_ns=BEGAN_NS,
        stopped_ns=BEGAN_NS + 60_000_000_000,
        valid=True,
        invalid_reason=None,
        flows=(result,),
    )


def a_failed_trial(text: str) -> TrialResult:
    flow = Flow(direction="a-b", frame_bytes=64, rate_pps=None)
    return TrialResult(
        trial=Trial(purpose="ceiling", flows=(flow,), duration_s=1.0),
        started_ns=BEGAN_NS,
        stopped_ns=BEGAN_NS + 1,
        valid=False,
        invalid_reason=text,
        flows=(),
    )
