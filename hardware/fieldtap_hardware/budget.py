"""Does the way from the adapter to the processor carry the line rate?

A frame crosses PCI Express as transactions with headers of their own, so the link must carry more
than the wire does, most of all for small frames. Both sides of the comparison follow pcie-model
(Neugebauer et al., "Understanding PCIe performance for end host networking", SIGCOMM 2018).
"""

import math
from collections.abc import Sequence

from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Evidence, Verdict
from fieldtap_hardware.words import rate_words

SMALL_FRAME_BYTES = 64
LARGE_FRAME_BYTES = 1518

FCS_BYTES = 4
WIRE_OVERHEAD_BYTES = 20  # preamble, start of frame, gap

# The smallest payload that every link supports; a larger one only lowers the demand.
ASSUMED_PAYLOAD_BYTES = 128
TRANSACTION_BYTES = 24  # header, framing and CRC around each payload
COMPLETION_BYTES = 40  # the event that announces a frame, in a transaction of its own
DESCRIPTOR_FETCH_BYTES = 24 / 32  # one request fetches 32 descriptors

# What a lane carries at the transaction layer with that payload, by its transfer rate. From 32 GT/s
# on nothing was modelled: twice 16 GT/s, and for 64 GT/s no more than that.
USABLE_BPS_PER_LANE = {
    2.5: 1.55e9,
    5.0: 3.45e9,
    8.0: 7.08e9,
    16.0: 14.2e9,
    32.0: 28.4e9,
    64.0: 28.4e9,
}

COMFORTABLE = 0.7  # of a ceiling: above it a burst or another device can cost frames

# Bridges of Thunderbolt and USB4: the links at and behind them are tunnelled, and their figures are
# made up by the controller. Identifiers are those of pci.ids.
# fmt: off
TUNNEL_BRIDGES = frozenset(
    {
        # Thunderbolt 1
        "8086:1513", "8086:151a", "8086:1547", "8086:1548", "8086:1549", "8086:1567", "8086:1569",
        # Thunderbolt 2
        "8086:156b", "8086:156d", "8086:157e",
        # Thunderbolt 3
        "8086:1576", "8086:1578", "8086:15c0", "8086:15d3", "8086:15da", "8086:15e7", "8086:15ea",
        "8086:15ef",
        # Thunderbolt 4 and USB4
        "8086:0b26", "8086:1136", "8086:8a1d", "8086:9a23", "8086:463f", "8086:7ec4",
        "1022:14cd",
    }
)
# fmt: on


def frames_per_second(speed_bps: float, frame_bytes: int) -> float:
    """Line rate in frames of `frame_bytes`, FCS included."""
    return speed_bps / (8 * (frame_bytes + WIRE_OVERHEAD_BYTES))


def pcie_demand_bps(speed_bps: float, frame_bytes: int) -> float:
    """What line rate in such frames takes of a PCI Express link, towards memory."""
    captured_bytes = frame_bytes - FCS_BYTES
    transactions = math.ceil(captured_bytes / ASSUMED_PAYLOAD_BYTES)
    frame_cost_bytes = (
        captured_bytes
        + transactions * TRANSACTION_BYTES
        + COMPLETION_BYTES
        + DESCRIPTOR_FETCH_BYTES
    )
    return 8 * frame_cost_bytes * frames_per_second(speed_bps, frame_bytes)


def usable_bps(function: PciFunction) -> float | None:
    """What the link of `function` carries as it is trained now."""
    if function.link_gtps is None or function.link_width is None:
        return None
    return USABLE_BPS_PER_LANE[function.link_gtps] * function.link_width


def tunnelled(port: Port) -> bool:
    """Whether the port sits behind Thunderbolt or USB4."""
    return any(function.removable or function.device_id in TUNNEL_BRIDGES for function in port.pci)


def check_pcie(port: Port, ports: Sequence[Port]) -> Check:
    """Weigh the narrowest link above `port` against all of `ports` that share it.

    `ok` up to 70 % of the link in 64-byte frames, `fail` if it cannot carry 1518-byte frames,
    `warn` between; `unknown` behind Thunderbolt until a transfer was measured.
    """
    if not port.pci:
        reason = "a virtual port" if port.virtual else f"an adapter on {port.bus or 'no known bus'}"
        return _check(port, Verdict.NOT_APPLICABLE, f"{reason} has no PCI Express link", {})
    evidence: Evidence = {"path": [_link_words(function) for function in port.pci]}
    if tunnelled(port):
        return _check(
            port,
            Verdict.UNKNOWN,
            "behind Thunderbolt, where link figures prove nothing; a measured transfer would",
            evidence,
            "send line rate to this port and compare what was sent with what was stored",
        )
    unknown = [function.address for function in port.pci if usable_bps(function) is None]
    if port.bus == "virtio" or (unknown and len(port.pci) == 1):
        kind = "a paravirtual adapter" if port.bus == "virtio" else "an adapter in the chipset"
        return _check(port, Verdict.NOT_APPLICABLE, f"{kind} has no PCI Express link", evidence)
    if unknown:
        summary = f"the kernel does not tell the PCI Express link of {', '.join(unknown)}"
        return _check(port, Verdict.UNKNOWN, summary, evidence)
    if port.speed_bps is None:
        summary = "how much the PCI Express link must carry is not known without a link speed"
        return _check(port, Verdict.UNKNOWN, summary, evidence)
    return _weigh(port, ports, evidence)


def _weigh(port: Port, ports: Sequence[Port], evidence: Evidence) -> Check:
    """Compare demand and ceiling at each hop; the fullest hop decides."""
    _, fullest, speed_bps, ceiling_bps = max(
        (speed_bps / ceiling_bps, hop, speed_bps, ceiling_bps)
        for hop, function in enumerate(port.pci)
        if (ceiling_bps := usable_bps(function))
        and (speed_bps := _shared_speed_bps(port, hop, ports))
    )
    small_bps = pcie_demand_bps(speed_bps, SMALL_FRAME_BYTES)
    large_bps = pcie_demand_bps(speed_bps, LARGE_FRAME_BYTES)
    link = port.pci[fullest]
    evidence |= {
        "narrowest_link": link.address,
        "link_gtps": link.link_gtps,
        "link_width": link.link_width,
        "usable_bps": int(ceiling_bps),
        "line_rate_bps": speed_bps,
        "demand_64_byte_frames_bps": int(small_bps),
        "demand_1518_byte_frames_bps": int(large_bps),
        "assumed_payload_bytes": ASSUMED_PAYLOAD_BYTES,
    }
    carries = f"{_link_words(link)} carries {rate_words(ceiling_bps)}"
    remedy = "use a slot or an adapter with more or faster lanes, or capture fewer ports at once"
    if large_bps > ceiling_bps:
        summary = f"{carries}; line rate in 1518-byte frames takes {rate_words(large_bps)}"
        return _check(port, Verdict.FAIL, summary, evidence, remedy)
    summary = f"{carries}; line rate in 64-byte frames takes {rate_words(small_bps)}"
    if small_bps > COMFORTABLE * ceiling_bps:
        return _check(port, Verdict.WARN, summary, evidence, remedy)
    return _check(port, Verdict.OK, summary, evidence)


def _shared_speed_bps(port: Port, hop: int, ports: Sequence[Port]) -> int:
    """Speed of all ports together whose frames cross the link of `port` at `hop`."""
    return sum(
        other.speed_bps or 0
        for other in {port.name: port, **{other.name: other for other in ports}}.values()
        if _link(port, hop) in [_link(other, other_hop) for other_hop in range(len(other.pci))]
    )


def _link(port: Port, hop: int) -> str:
    """What names a link: functions of one adapter share theirs, each bridge has its own."""
    address = port.pci[hop].address
    return address.rpartition(".")[0] if hop == 0 else address


def _link_words(function: PciFunction) -> str:
    if function.link_gtps is None or function.link_width is None:
        return f"{function.address} (link not known)"
    return f"{function.address} ({function.link_gtps:g} GT/s x{function.link_width})"


def _check(
    port: Port, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check("port.pcie", port.name, verdict, summary, evidence, remedy)
