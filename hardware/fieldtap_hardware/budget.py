"""Does the way from the adapter to the processor carry the line rate? The arithmetic.

A frame crosses PCI Express as transactions with headers of their own, so the link must carry more
than the wire does, most of all for small frames. Demand and ceilings are in one unit: bits a second
of transactions, headers included. Both sides follow pcie-model (Neugebauer et al., "Understanding
PCIe performance for end host networking", SIGCOMM 2018).
"""

import math
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from importlib import resources

import msgspec
from msgspec import Struct

SMALL_FRAME_BYTES = 64
LARGE_FRAME_BYTES = 1518

FCS_BYTES = 4
WIRE_OVERHEAD_BYTES = 20  # preamble, start of frame, gap

TRANSACTION_BYTES = 24  # header, framing and CRC around each payload
COMPLETION_BYTES = 40  # the event that announces a frame, in a transaction of its own
DESCRIPTOR_FETCH_BYTES = 24 / 32  # one request fetches 32 descriptors

SMALLEST_PAYLOAD_BYTES = 128  # every link supports it
ENCODING = {2.5: 8 / 10, 5.0: 8 / 10, 8.0: 128 / 130, 16.0: 128 / 130, 32.0: 128 / 130}
FLIT_SHARE = 236 / 256  # at 64 GT/s: what of a flit are transactions

COMFORTABLE = 0.7  # of a ceiling: above it a burst or another device can cost frames


class Basis(StrEnum):
    """Where a ceiling comes from, the weakest first."""

    INFERRED = "inferred"  # from figures that prove nothing, as those of a tunnel
    COMPUTED = "computed"  # from the link's generation, width and payload
    PUBLISHED = "published"  # what others measured on the like
    MEASURED = "measured"  # here, on this machine


class Ceiling(Struct, frozen=True):
    """What a hop carries of transactions in one direction."""

    bps: float
    basis: Basis
    source: str


class LinkShare(Struct, frozen=True):
    """What the data link layer leaves to transactions."""

    gtps: float
    payload_bytes: int
    share: float


class Source(Struct, frozen=True):
    """What a figure rests on."""

    title: str
    where: str


class TunnelCeiling(Struct, frozen=True):
    """What was seen to pass a tunnel, as payload."""

    name: str
    generation: int
    low_payload_gbps: float
    high_payload_gbps: float
    source: str


class Ceilings(Struct, frozen=True, forbid_unknown_fields=True):
    """`catalogue/ceilings.toml`."""

    link_share: tuple[LinkShare, ...]
    link_share_source: Source
    tunnel: tuple[TunnelCeiling, ...]


@cache
def ceilings() -> Ceilings:
    """The published figures that come with the program."""
    path = resources.files("fieldtap_hardware") / "catalogue" / "ceilings.toml"
    return msgspec.convert(tomllib.loads(path.read_text()), Ceilings)


def frames_per_second(speed_bps: float, frame_bytes: int) -> float:
    """Line rate in frames of `frame_bytes`, FCS included."""
    return speed_bps / (8 * (frame_bytes + WIRE_OVERHEAD_BYTES))


def pcie_demand_bps(
    speed_bps: float, frame_bytes: int, payload_bytes: int = SMALLEST_PAYLOAD_BYTES
) -> float:
    """What line rate in such frames takes of a PCI Express link, towards memory.

    `payload_bytes` is the most that one transaction carries (Device Control, Max_Payload_Size).
    """
    captured_bytes = frame_bytes - FCS_BYTES
    transactions = math.ceil(captured_bytes / payload_bytes)
    frame_cost_bytes = (
        captured_bytes
        + transactions * TRANSACTION_BYTES
        + COMPLETION_BYTES
        + DESCRIPTOR_FETCH_BYTES
    )
    return 8 * frame_cost_bytes * frames_per_second(speed_bps, frame_bytes)


def with_headers(payload_bps: float, payload_bytes: int) -> float:
    """What bulk payload takes as transactions of `payload_bytes`."""
    return payload_bps * (payload_bytes + TRANSACTION_BYTES) / payload_bytes


def link_ceiling(gtps: float, width: int, payload_bytes: int) -> Ceiling:
    """A PCI Express link's, from its rate a lane, its lanes and its payload."""
    share, source = _link_share(gtps, payload_bytes)
    bps = gtps * 1e9 * width * ENCODING.get(gtps, 1.0) * share
    words = f"{gtps:g} GT/s x{width}, payload {payload_bytes} bytes; {source}"
    return Ceiling(bps, Basis.COMPUTED, words)


def _link_share(gtps: float, payload_bytes: int) -> tuple[float, str]:
    """The nearest figure that does not promise more: of that rate, with no larger payload."""
    known = ceilings()
    if gtps not in ENCODING:
        return FLIT_SHARE, "PCI Express 6.0, flits"
    # Nothing was published above 16 GT/s; the layers are the same up to 32 GT/s.
    rate = min(gtps, max(entry.gtps for entry in known.link_share))
    fitting = [
        entry
        for entry in known.link_share
        if entry.gtps == rate and entry.payload_bytes <= payload_bytes
    ]
    return max(fitting, key=lambda entry: entry.payload_bytes).share, known.link_share_source.title


def tunnel_ceiling(generation: int, payload_bytes: int) -> tuple[str, Ceiling] | None:
    """A tunnel's name and ceiling by its generation; None where nothing was published."""
    for entry in ceilings().tunnel:
        if entry.generation == generation:
            bps = with_headers(entry.high_payload_gbps * 1e9, payload_bytes)
            return entry.name, Ceiling(bps, Basis.PUBLISHED, entry.source)
    return None


class Hop(Struct, frozen=True):
    """One link on the way, and the speed of all ports whose frames cross it."""

    name: str
    speed_bps: float
    payload_bytes: int
    ceiling: Ceiling | None  # None: not known

    def load(self, frame_bytes: int) -> float:
        """Demand by ceiling, in frames of that size; 0 where the ceiling is not known."""
        if self.ceiling is None:
            return 0.0
        return self.demand_bps(frame_bytes) / self.ceiling.bps

    @property
    def comfortable(self) -> float:
        """How full it may be: what was measured here was carried without loss, to the full."""
        measured = self.ceiling is not None and self.ceiling.basis is Basis.MEASURED
        return 1.0 if measured else COMFORTABLE

    def demand_bps(self, frame_bytes: int) -> float:
        """Of all its ports together."""
        return pcie_demand_bps(self.speed_bps, frame_bytes, self.payload_bytes)


def limiting_hop(hops: Sequence[Hop], frame_bytes: int) -> Hop | None:
    """The fullest hop whose ceiling is known."""
    known = [hop for hop in hops if hop.ceiling is not None]
    return max(known, key=lambda hop: hop.load(frame_bytes), default=None)
