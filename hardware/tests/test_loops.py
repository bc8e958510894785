"""What a flood over a cable says of the links above the receiver."""

import pytest
from fieldtap_hardware.bandwidth import Tunnel, Way, check_pcie
from fieldtap_hardware.budget import Basis, frames_per_second, pcie_demand_bps
from fieldtap_hardware.loops import LoopRun, ceilings, check_loop
from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.verdicts import Verdict
from made_ports import PORT
from msgspec.structs import replace

LINE_RATE_64 = frames_per_second(10e9, 64)
ADAPTER = PciFunction(
    address="0000:03:00.0",
    device_id="1924:0903",
    subsystem_id=None,
    link_gtps=2.5,
    link_width=4,
    max_link_gtps=8.0,
    max_link_width=8,
    payload_bytes=128,
    removable=False,
)
OUTERMOST = replace(ADAPTER, address="0000:00:07.0", device_id="8086:9a23")
PLUGGED = replace(PORT, pci=(ADAPTER, OUTERMOST))
TUNNEL = "tunnel at 0000:00:07.0"


def run(pps: float | None, frame_bytes: int = 64) -> LoopRun:
    return LoopRun(
        sender="eth1",
        receiver="eth0",
        frame_bytes=frame_bytes,
        lossless_pps=pps,
        tried_pps=(pps or 1.0,),
        seconds=2.0,
    )


def test_a_tunnel_of_unknown_ceiling_is_judged_by_what_came_through() -> None:
    assert check_pcie(PLUGGED, [PLUGGED]).verdict is Verdict.UNKNOWN
    proven = ceilings([run(LINE_RATE_64)], PLUGGED, [PLUGGED], Way())
    assert proven[TUNNEL].basis is Basis.MEASURED
    assert proven[TUNNEL].bps == pytest.approx(pcie_demand_bps(10e9, 64))
    assert check_pcie(PLUGGED, [PLUGGED], Way(measured=proven)).verdict is Verdict.OK


def test_half_of_line_rate_proves_a_link_too_slow_for_small_frames_alone() -> None:
    proven = ceilings(
        [run(LINE_RATE_64 / 2), run(frames_per_second(10e9, 1518), 1518)],
        PLUGGED,
        [PLUGGED],
        Way(),
    )
    check = check_pcie(PLUGGED, [PLUGGED], Way(measured=proven))
    assert (check.verdict, check.evidence["ceiling_basis"]) == (Verdict.WARN, Basis.MEASURED)


def test_a_full_wire_replaces_no_higher_ceiling_and_a_loss_does() -> None:
    known = Way(tunnels={"eth0": Tunnel("0-1", "Core X", 3)})
    assert ceilings([run(LINE_RATE_64)], PLUGGED, [PLUGGED], known) == {}
    lossy = ceilings([run(LINE_RATE_64 / 2)], PLUGGED, [PLUGGED], known)
    assert [one.bps for one in lossy.values()] == [pytest.approx(pcie_demand_bps(5e9, 64))]


def test_runs_into_other_ports_and_without_a_result_prove_nothing() -> None:
    other = replace(run(1e6), receiver="eth9")
    assert ceilings([other, run(None)], PLUGGED, [PLUGGED], Way()) == {}


def test_the_check_tells_the_rate_and_is_no_judge_of_virtual_ports() -> None:
    assert check_loop(PLUGGED, []) is None
    carried = check_loop(PLUGGED, [run(1e6)])
    assert carried is not None
    assert carried.verdict is Verdict.OK
    assert "672 Mb/s in 64-byte frames" in carried.summary
    lossy = check_loop(PLUGGED, [run(None)])
    assert lossy is not None
    assert lossy.verdict is Verdict.WARN
    virtual = check_loop(replace(PORT, virtual=True), [run(1e6)])
    assert virtual is not None
    assert virtual.verdict is Verdict.NOT_APPLICABLE
