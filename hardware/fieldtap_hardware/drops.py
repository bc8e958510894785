"""Does the adapter lose frames before the kernel sees them, and by whose doing?

Each driver has counters of its own; `catalogue/drops.toml` says what they mean. A sum may be weeks
old, so counters are read twice and only what they rose by is judged.
"""

import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources

import msgspec
from msgspec import Struct

from fieldtap_hardware import ethtool
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

INTERVAL_S = 0.25
TOLD = 6  # counters in the evidence, those that rose most


class Cause(StrEnum):
    """Who lost a frame, by the counter that it is in."""

    HOST = "host"
    BUS = "bus"
    BAD_FRAMES = "bad_frames"
    UNKNOWN = "unknown"


class DriverCounters(Struct, frozen=True, forbid_unknown_fields=True):
    """What the counters of some drivers mean."""

    names: tuple[str, ...]
    source: str
    counters: dict[str, Cause]


class _DropTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`catalogue/drops.toml`."""

    driver: tuple[DriverCounters, ...]


@cache
def known_counters() -> dict[str, dict[str, Cause]]:
    """The counters that tell of lost frames, and the cause of each, by driver."""
    path = resources.files("fieldtap_hardware") / "catalogue" / "drops.toml"
    table = msgspec.convert(tomllib.loads(path.read_text()), _DropTable)
    return {name: driver.counters for driver in table.driver for name in driver.names}


class DropCount(Struct, frozen=True):
    """One counter of lost frames, read twice."""

    counter: str
    cause: Cause
    total: int
    rise: int  # between the readings


Drops = tuple[DropCount, ...] | None
"""The counters of one port; None where its driver has none that are known."""


@dataclass
class DropMeter:
    """Reads the counters of `ports` when made, and again for `read`."""

    ports: Sequence[Port]
    ask: ethtool.Query
    started_s: float = field(default_factory=time.monotonic)
    before: Mapping[str, Mapping[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.before = {port.name: read_counters(port, self.ask) for port in self.ports}

    def read(self) -> dict[str, Drops]:
        """The counters by port, at least `INTERVAL_S` after the first reading."""
        time.sleep(max(0, self.started_s + INTERVAL_S - time.monotonic()))
        return {
            port.name: compare(port, self.before[port.name], read_counters(port, self.ask))
            for port in self.ports
        }


def read_counters(port: Port, ask: ethtool.Query) -> dict[str, int]:
    """The known counters of lost frames that the port's driver shows; empty where it shows none."""
    known = known_counters().get(port.driver or "", {})
    if not known:
        return {}
    shown = ethtool.read_statistics(port.name, ask) or {}
    return {name: shown[name] for name in known if name in shown}


def compare(port: Port, before: Mapping[str, int], after: Mapping[str, int]) -> Drops:
    """What rose between two readings; a counter that was reset meanwhile is left out."""
    known = known_counters().get(port.driver or "", {})
    counts = [
        DropCount(name, known[name], total, total - before[name])
        for name, total in after.items()
        if name in before and total >= before[name]
    ]
    return tuple(counts) or None


REMEDIES = {
    Cause.BUS: (
        "see port.pcie; take displays and disks off the Thunderbolt chain, "
        "use a faster slot, or capture fewer ports"
    ),
    Cause.HOST: (
        "enlarge the ring (`ethtool -G {port} rx 4096`), "
        "give the capture a core of its own (`--cpu`), stop what else runs"
    ),
    Cause.BAD_FRAMES: "clean or change the cable and the transceiver, and look at the far end",
    Cause.UNKNOWN: "capture from another port, and see `ethtool -S {port}` for the counter",
}
WORDS = {
    Cause.BUS: "its buffer ran over, the bus was too slow",
    Cause.HOST: "the host gave no memory in time",
    Cause.BAD_FRAMES: "they came damaged",
    Cause.UNKNOWN: "its driver does not say why",
}


def check_drops(port: Port, drops: Drops) -> Check:
    """`fail` while the adapter loses frames, `warn` while damaged ones arrive, by what rose now.

    `unknown` where the driver's counters are not known.
    """
    if port.virtual:
        return _check(port, Verdict.NOT_APPLICABLE, "is virtual: there is no adapter to lose", {})
    if drops is None:
        driver = port.driver or "its driver"
        summary = f"which counters of {driver} tell of lost frames is not known"
        remedy = f"look for counters that rise in `ethtool -S {port.name}`"
        return _check(port, Verdict.UNKNOWN, summary, {}, remedy)
    rose = sorted((one for one in drops if one.rise), key=lambda one: -one.rise)
    evidence: Evidence = {
        f"{cause}_frames": sum(one.rise for one in drops if one.cause is cause) for cause in Cause
    }
    evidence |= {
        "rose": [f"{one.counter} +{one.rise}" for one in rose[:TOLD]],
        "since_driver_start": [
            f"{one.counter} {one.total}"
            for one in sorted(drops, key=lambda one: -one.total)[:TOLD]
            if one.total
        ],
    }
    for cause in (Cause.BUS, Cause.HOST, Cause.UNKNOWN, Cause.BAD_FRAMES):
        if lost := evidence[f"{cause}_frames"]:
            verdict = Verdict.WARN if cause is Cause.BAD_FRAMES else Verdict.FAIL
            summary = f"loses frames now, {lost} while this was read: {WORDS[cause]}"
            return _check(port, verdict, summary, evidence, REMEDIES[cause].format(port=port.name))
    total = sum(one.total for one in drops)
    summary = "loses no frames now" + (f", {total} since its driver started" if total else "")
    return _check(port, Verdict.OK, summary, evidence)


def _check(
    port: Port, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check("port.drops", port.name, verdict, summary, evidence, remedy)
