"""The arithmetic of link tests: rates, buffers, availability. Pure functions.

Sizes include 4 bytes of FCS; a VLAN tag is 4 bytes more on the wire.
"""

from collections.abc import Sequence

GAP_BYTES = 20
"""On the wire before each frame: 12 of gap, 8 of preamble and delimiter (IEEE 802.3)."""

ERRORED_RATIO = 0.5
"""A second with more frames lost than this is severely errored (Y.1563, 2009)."""

UNAVAILABLE_AFTER_S = 10
"""So many severely errored seconds in a row begin an unavailable time (Y.1563)."""


def line_pps(speed_bps: float, frame_bytes: int) -> float:
    """Return how many frames of `frame_bytes` a second a link of `speed_bps` carries at most."""
    return speed_bps / (8 * (frame_bytes + GAP_BYTES))


def bps(pps: float, frame_bytes: int) -> float:
    """Return the layer 2 bit rate, FCS included, of so many frames a second."""
    return pps * 8 * frame_bytes


def pps(rate_bps: float, frame_bytes: int) -> float:
    """Return the frames a second that make a layer 2 bit rate, FCS included."""
    return rate_bps / (8 * frame_bytes)


def implied_buffer_s(burst_frames: float, burst_pps: float) -> float:
    """Return how long a burst lasts that came through whole (RFC 9004 section 6.4), seconds."""
    return burst_frames / burst_pps


def corrected_buffer_s(implied_s: float, throughput_pps: float, burst_pps: float) -> float:
    """Return the buffer that the burst filled, less what was forwarded meanwhile.

    RFC 9004 section 6.4: implied - implied x throughput / maximum rate, in seconds.
    """
    return implied_s - implied_s * throughput_pps / burst_pps


def availability(lost_ratios: Sequence[float]) -> tuple[float | None, int]:
    """Return the available share of the seconds whose loss ratios are given, and the errored ones.

    Ten severely errored seconds in a row are not available, nor what follows until ten in a row
    are good. None where there are no seconds.
    """
    if not lost_ratios:
        return None, 0
    errored = [ratio > ERRORED_RATIO for ratio in lost_ratios]
    available = True
    seconds = 0
    for index, bad in enumerate(errored):
        ahead = errored[index : index + UNAVAILABLE_AFTER_S]
        if len(ahead) == UNAVAILABLE_AFTER_S and bad == available and len(set(ahead)) == 1:
            available = not available
        seconds += available
    return seconds / len(lost_ratios), sum(errored)
