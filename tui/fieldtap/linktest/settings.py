"""What a test by RFC 2544 is asked to do. Times are in seconds, sizes on the wire with FCS."""

from dataclasses import dataclass, replace
from typing import Literal

from fieldtap.linktest.results import Directions

Search = Literal["mlr", "bisection"]
Part = Literal["throughput", "latency", "loss", "back-to-back", "recovery"]

STANDARD_SIZES = (64, 128, 256, 512, 1024, 1280, 1518)
"""RFC 2544 section 9.1, for Ethernet."""


@dataclass(frozen=True)
class Limits:
    """What the user demands; None where a figure is only measured. RFC 2544 itself has none."""

    throughput_percent: float | None = None
    latency_ns: float | None = None
    loss_percent: float | None = None
    burst_frames: float | None = None
    recovery_s: float | None = None


@dataclass(frozen=True)
class Settings:
    """The standard's own times and repetitions, unless changed."""

    parts: tuple[Part, ...]
    sizes: tuple[int, ...]
    directions: Directions = "a-b"
    vlan_id: int | None = None
    short: bool = False
    search: Search = "mlr"
    precision: float = 0.005
    attempts: int = 3
    limits: Limits = Limits()
    search_s: float = 1.0
    final_s: float = 60.0
    latency_s: float = 120.0
    latency_repetitions: int = 20
    loss_s: float = 60.0
    loss_step_percent: float = 10.0
    burst_s: float = 2.0
    burst_repetitions: int = 50
    overload_s: float = 60.0
    recovery_watch_s: float = 20.0


def shorten(settings: Settings) -> Settings:
    """The same in minutes instead of hours; the report says what that leaves out."""
    return replace(
        settings,
        short=True,
        final_s=5.0,
        latency_s=5.0,
        latency_repetitions=3,
        loss_s=2.0,
        burst_repetitions=5,
        overload_s=5.0,
        recovery_watch_s=5.0,
    )
