"""What two ports joined by a cable were seen to carry, and what that says of the links above them.

A run floods one port from the other and takes the highest rate at which nothing was lost. Every
frame that arrived has crossed each link of the receiver, so each carries at least that much.
"""

from collections.abc import Sequence

from msgspec import Struct

from fieldtap_hardware.bandwidth import Way, hops
from fieldtap_hardware.budget import Basis, Ceiling, frames_per_second, pcie_demand_bps
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Evidence, Verdict
from fieldtap_hardware.words import duration_words, rate_words

LINE_RATE_SHARE = 0.995  # from here on the wire was the limit, not a link of the machine


class LoopRun(Struct, frozen=True, kw_only=True):
    """The highest rate from one port to another at which nothing was lost."""

    sender: str
    receiver: str
    frame_bytes: int  # with FCS
    lossless_pps: float | None  # None: no rate that was tried came through whole
    tried_pps: tuple[float, ...]  # as sent, in order
    seconds: float  # of each trial


def ceilings(
    runs: Sequence[LoopRun], port: Port, ports: Sequence[Port], way: Way
) -> dict[str, Ceiling]:
    """The ceilings that `runs` prove for the links above `port`, by the hop's name.

    A run that filled the wire says only that a link carries line rate: it replaces no higher one.
    """
    found: dict[str, Ceiling] = {}
    for run in runs:
        if run.receiver != port.name or run.lossless_pps is None or port.speed_bps is None:
            continue
        line_rate_pps = frames_per_second(port.speed_bps, run.frame_bytes)
        filled = run.lossless_pps >= LINE_RATE_SHARE * line_rate_pps
        pps = line_rate_pps if filled else run.lossless_pps
        for hop in hops(port, ports, way):
            carried_bps = (
                pps
                / line_rate_pps
                * pcie_demand_bps(port.speed_bps, run.frame_bytes, hop.payload_bytes)
            )
            source = f"{pps:.0f} frames/s of {run.frame_bytes} bytes from {run.sender}, none lost"
            known = found.get(hop.name, hop.ceiling if filled else None)
            if known is None or carried_bps > known.bps:
                found[hop.name] = Ceiling(carried_bps, Basis.MEASURED, source)
    return {name: one for name, one in found.items() if one.basis is Basis.MEASURED}


def check_loop(port: Port, runs: Sequence[LoopRun]) -> Check | None:
    """What was measured into `port`; None where nothing was sent to it.

    `not_applicable` for a virtual port, whose rate says nothing of any link; `warn` where every
    rate that was tried lost frames.
    """
    mine = [run for run in runs if run.receiver == port.name]
    if not mine:
        return None
    evidence: Evidence = {"sender": mine[0].sender}
    for run in mine:
        evidence[f"lossless_pps_{run.frame_bytes}_byte_frames"] = run.lossless_pps
        evidence[f"tried_pps_{run.frame_bytes}_byte_frames"] = [
            f"{pps:.0f}" for pps in run.tried_pps
        ]
    told = " and ".join(_words(run) for run in mine)
    summary = f"took from {mine[0].sender} {told}"
    if port.virtual:
        summary += "; a virtual port has no link whose ceiling that could be"
        return Check("port.loop", port.name, Verdict.NOT_APPLICABLE, summary, evidence)
    if any(run.lossless_pps is None for run in mine):
        remedy = "check the cable, close what else runs, and measure again"
        return Check("port.loop", port.name, Verdict.WARN, summary, evidence, remedy)
    return Check("port.loop", port.name, Verdict.OK, summary, evidence)


def _words(run: LoopRun) -> str:
    size = f"{run.frame_bytes}-byte frames"
    if run.lossless_pps is None:
        return f"{size} at no rate without loss"
    on_wire_bps = run.lossless_pps * 8 * (run.frame_bytes + 20)
    return f"{rate_words(on_wire_bps)} in {size} for {duration_words(run.seconds)} without loss"
