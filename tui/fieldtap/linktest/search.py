"""Searches for the highest load without loss: by MLRsearch, or by plain bisection as reference."""

from collections.abc import Callable
from dataclasses import dataclass

from fieldtap.linktest.settings import Search


@dataclass(frozen=True)
class Span:
    """Where to search and how finely.

    Loads are frames a second; `precision` is the distance of the bounds as a share of the upper.
    A load is proved by a trial of `final_s`; a search may use trials down to `search_s` before.
    """

    lowest_pps: float
    highest_pps: float
    precision: float
    search_s: float
    final_s: float


@dataclass(frozen=True)
class Outcome:
    """Frames of a trial."""

    sent: int
    lost: int


@dataclass(frozen=True)
class Bounds:
    """The highest load that came through whole, and the lowest that did not.

    `lower_pps` is None where even the lowest load lost, `upper_pps` where not even the highest did.
    """

    lower_pps: float | None
    upper_pps: float | None


Measure = Callable[[float, float], Outcome]
"""Offer so many frames a second for so many seconds."""


def search(kind: Search, measure: Measure, span: Span) -> Bounds:
    """Find the throughput by the search of that name. What `measure` raises goes through."""
    if kind == "bisection":
        return bisect(measure, span)
    from fieldtap.linktest import mlr  # forty modules, for one of two searches

    return mlr.search(measure, span)


def bisect(measure: Measure, span: Span) -> Bounds:
    """Halve the interval with trials of full length until its bounds are near enough."""

    def whole(load: float) -> bool:
        return measure(load, span.final_s).lost == 0

    if whole(span.highest_pps):
        return Bounds(span.highest_pps, None)
    if not whole(span.lowest_pps):
        return Bounds(None, span.lowest_pps)
    lower, upper = span.lowest_pps, span.highest_pps
    while upper - lower > span.precision * upper:
        middle = (lower + upper) / 2
        if whole(middle):
            lower = middle
        else:
            upper = middle
    return Bounds(lower, upper)


def longest_burst(
    whole: Callable[[int], bool], highest: int, precision: float, hint: int | None
) -> int:
    """Return the longest burst, in frames, for which `whole` holds; 0 where none does.

    At most `precision` of it (and a frame) too short. `hint` is an earlier answer, near which this
    one is searched first; bursts longer than `highest` are not tried.
    """
    low, high = 0, highest + 1
    probe, step = (highest, 0) if hint is None else (hint, max(1, int(2 * precision * hint)))
    rising: bool | None = None
    while low < probe < high:
        good = whole(probe)
        if good:
            low = probe
        else:
            high = probe
        if step == 0 or (rising is not None and rising != good):
            break  # nothing to widen, or the answer lies between the last two probes
        rising = good
        probe += step if good else -step
        step *= 2
    while high - low > max(1, int(precision * high)):
        middle = (low + high) // 2
        if whole(middle):
            low = middle
        else:
            high = middle
    return low
