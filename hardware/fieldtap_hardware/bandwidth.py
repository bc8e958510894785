"""The check `port.pcie`: which links do the frames of a port cross, and what do they carry?"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from fieldtap_hardware.budget import (
    LARGE_FRAME_BYTES,
    SMALL_FRAME_BYTES,
    SMALLEST_PAYLOAD_BYTES,
    Basis,
    Ceiling,
    Hop,
    limiting_hop,
    link_ceiling,
    tunnel_ceiling,
)
from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Evidence, Verdict
from fieldtap_hardware.words import rate_words

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
VIRTUAL_GTPS = 2.5

REMEDY = "use a slot or an adapter with more or faster lanes, or capture fewer ports at once"
MEASURE = "measure it with a cable between two ports of the adapter: `fieldtap check --measure`"


class Tunnel(Struct, frozen=True):
    """The Thunderbolt or USB4 link through which a port's frames come, where that is certain."""

    device: str  # of the enclosure, "0-1"
    name: str  # "Razer Core X"
    generation: int  # 1 to 4, 4 is USB4


class Way(Struct, frozen=True):
    """What is known of the way beyond the PCI functions.

    `tunnels` by the port's name; `measured` are ceilings seen here, by the hop's name.
    """

    tunnels: Mapping[str, Tunnel] = {}
    measured: Mapping[str, Ceiling] = {}


NOTHING_MORE = Way()


def tunnel_port(port: Port) -> PciFunction | None:
    """The outermost function of a tunnel on the port's way, None where there is none."""
    for function in reversed(port.pci):
        if function.removable or function.device_id in TUNNEL_BRIDGES:
            return function
    return None


def is_virtual(function: PciFunction, behind_tunnel: bool) -> bool:
    """Whether a function's link figures may be made up.

    Those of a tunnel's bridges are. Behind a tunnel 2.5 GT/s is what a controller shows that has
    nothing better to say; a higher rate was negotiated by a real slot in the enclosure.
    """
    if not behind_tunnel:
        return False
    slow = function.link_gtps is None or function.link_gtps <= VIRTUAL_GTPS
    return slow or function.device_id in TUNNEL_BRIDGES


def check_pcie(port: Port, ports: Sequence[Port], way: Way = NOTHING_MORE) -> Check:
    """Weigh each link above `port` against all of `ports` that share it; the fullest decides.

    `ok` up to 70 % of its ceiling in 64-byte frames, or all of one measured here; `fail` if it
    cannot carry 1518-byte frames, `warn` between; `unknown` while a ceiling is not known, unless a
    known one fails already. A port without a speed, which has no link, is told and not weighed.
    """
    if not port.pci:
        reason = "a virtual port" if port.virtual else f"an adapter on {port.bus or 'no known bus'}"
        return _check(port, Verdict.NOT_APPLICABLE, f"{reason} has no PCI Express link", {})
    evidence: Evidence = {"path": [link_words(function) for function in port.pci]}
    silent = [one for one in port.pci if one.link_gtps is None or one.link_width is None]
    if port.bus == "virtio" or (silent and len(port.pci) == 1):
        kind = "a paravirtual adapter" if port.bus == "virtio" else "an adapter in the chipset"
        return _check(port, Verdict.NOT_APPLICABLE, f"{kind} has no PCI Express link", evidence)
    if port.speed_bps is None:
        summary = "how much the PCI Express link must carry is not known without a link speed"
        return _check(port, Verdict.UNKNOWN, summary, evidence)
    crossed = hops(port, ports, way)
    names = {hop.name for hop in crossed}
    silent_ports = [
        other.name
        for other in ports
        if other.name != port.name
        and other.speed_bps is None
        and names & _crossed(other, way).keys()
    ]
    check = _weigh(port, crossed, evidence | {"ports_of_unknown_speed": silent_ports})
    if not silent_ports:
        return check
    without = f"{check.summary}; without {', '.join(silent_ports)}, whose speed is not known"
    return msgspec.structs.replace(check, summary=without)


def hops(port: Port, ports: Sequence[Port], way: Way = NOTHING_MORE) -> list[Hop]:
    """The links that the frames of `port` cross, the adapter's own first, with all they carry.

    The links of a tunnel are one hop, whatever each of them shows.
    """
    everyone = {other.name: other for other in ports} | {port.name: port}
    loads: dict[str, float] = {}
    for other in everyone.values():
        for name in _crossed(other, way):
            loads[name] = loads.get(name, 0) + (other.speed_bps or 0)
    payload_bytes = _payload_bytes(port)
    return [
        Hop(name, loads[name], payload_bytes, way.measured.get(name, ceiling))
        for name, ceiling in _crossed(port, way).items()
    ]


def _crossed(port: Port, way: Way) -> dict[str, Ceiling | None]:
    """The hops above a port by name: an adapter's functions share a link, a bridge has its own."""
    found: dict[str, Ceiling | None] = {}
    outermost = tunnel_port(port)
    behind = outermost is not None
    for place, function in enumerate(port.pci):
        if not is_virtual(function, behind):
            name = function.address.rpartition(".")[0] if place == 0 else function.address
            found[name] = _link_ceiling(function, _payload_bytes(port))
        if function is outermost:
            name, ceiling = _tunnel(port, function, way)
            found[name] = ceiling
            behind = False
    return found


def _tunnel(port: Port, outermost: PciFunction, way: Way) -> tuple[str, Ceiling | None]:
    """All links of a tunnel as one hop; what it carries depends on its generation."""
    tunnel = way.tunnels.get(port.name)
    if tunnel is None:
        return f"tunnel at {outermost.address}", None
    known = tunnel_ceiling(tunnel.generation, _payload_bytes(port))
    kind = known[0] if known else f"generation {tunnel.generation}"
    return f"{kind} tunnel {tunnel.device}", known[1] if known else None


def _link_ceiling(function: PciFunction, payload_bytes: int) -> Ceiling | None:
    if function.link_gtps is None or function.link_width is None:
        return None
    return link_ceiling(function.link_gtps, function.link_width, payload_bytes)


def _payload_bytes(port: Port) -> int:
    """The least on the way, as the adapter must keep to it; 128 where none could be read."""
    known = [one.payload_bytes for one in port.pci if one.payload_bytes is not None]
    return min(known, default=SMALLEST_PAYLOAD_BYTES)


def _weigh(port: Port, crossed: Sequence[Hop], evidence: Evidence) -> Check:
    small = limiting_hop(crossed, SMALL_FRAME_BYTES)
    large = limiting_hop(crossed, LARGE_FRAME_BYTES)
    unknown = [hop.name for hop in crossed if hop.ceiling is None]
    payload_known = any(function.payload_bytes is not None for function in port.pci)
    evidence |= {
        "hops": [_hop_words(hop) for hop in crossed],
        "payload_bytes": crossed[0].payload_bytes,
        "payload_basis": "read" if payload_known else "assumed",
        "unknown_hops": unknown,
    }
    for name, hop, size in (("64", small, SMALL_FRAME_BYTES), ("1518", large, LARGE_FRAME_BYTES)):
        evidence |= {
            f"limiting_hop_{name}_byte_frames": hop.name if hop else None,
            f"demand_{name}_byte_frames_gbps": round(hop.demand_bps(size) / 1e9, 2)
            if hop
            else None,
            f"verdict_{name}_byte_frames": _verdict_at(hop, size, unknown),
        }
    if small is None or large is None or small.ceiling is None or large.ceiling is None:
        summary = f"{unknown[0]}: what it carries is not known"
        return _check(port, Verdict.UNKNOWN, summary, evidence, MEASURE)
    evidence |= {
        "limiting_hop": small.name,
        "line_rate_bps": small.speed_bps,
        "ceiling_gbps": _gbps(small.ceiling.bps),
        "ceiling_basis": small.ceiling.basis,
        "ceiling_source": small.ceiling.source,
    }
    if large.load(LARGE_FRAME_BYTES) > 1:
        demand = rate_words(large.demand_bps(LARGE_FRAME_BYTES))
        summary = f"{_carries(large)}; line rate in 1518-byte frames takes {demand}"
        return _check(port, Verdict.FAIL, summary, evidence, REMEDY)
    if unknown:
        summary = f"{unknown[0]}: what it carries is not known"
        return _check(port, Verdict.UNKNOWN, summary, evidence, MEASURE)
    demand = rate_words(small.demand_bps(SMALL_FRAME_BYTES))
    summary = f"{_carries(small)}; line rate in 64-byte frames takes {demand}"
    if small.load(SMALL_FRAME_BYTES) > small.comfortable or (
        large.load(LARGE_FRAME_BYTES) > large.comfortable
    ):
        return _check(port, Verdict.WARN, summary, evidence, REMEDY)
    return _check(port, Verdict.OK, summary, evidence)


def _verdict_at(hop: Hop | None, frame_bytes: int, unknown: Sequence[str]) -> Verdict:
    """The rule for one frame size: up to 70 % of a proven ceiling is ok, above all of it a fail."""
    if hop is not None and hop.load(frame_bytes) > 1:
        return Verdict.FAIL
    if hop is None or unknown:
        return Verdict.UNKNOWN
    return Verdict.WARN if hop.load(frame_bytes) > hop.comfortable else Verdict.OK


def _gbps(bps: float) -> float:
    return round(bps / 1e9, 2)


def _carries(hop: Hop) -> str:
    assert hop.ceiling is not None
    how = "" if hop.ceiling.basis is Basis.COMPUTED else f" ({hop.ceiling.basis})"
    return f"{hop.name} carries {rate_words(hop.ceiling.bps)}{how}"


def _hop_words(hop: Hop) -> str:
    load = rate_words(hop.speed_bps)
    if hop.ceiling is None:
        return f"{hop.name}: {load} of ports, ceiling not known"
    carries = f"{rate_words(hop.ceiling.bps)} {hop.ceiling.basis}"
    return f"{hop.name}: {load} of ports, carries {carries} ({hop.ceiling.source})"


def link_words(function: PciFunction) -> str:
    """ "0000:01:00.0 (8 GT/s x8)"."""
    if function.link_gtps is None or function.link_width is None:
        return f"{function.address} (link not known)"
    return f"{function.address} ({function.link_gtps:g} GT/s x{function.link_width})"


def _check(
    port: Port, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check("port.pcie", port.name, verdict, summary, evidence, remedy)
