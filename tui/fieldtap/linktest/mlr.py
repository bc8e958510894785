"""The one place that knows MLRsearch, the search of FD.io's CSIT (draft-ietf-bmwg-mlrsearch).

Written for release 1.2.1, whose names differ from those in its repository: a result there counts
`forwarded_count`, here `forwarding_count`. So only fields of both are given.
"""

from importlib.metadata import version

from MLRsearch import (
    AbstractMeasurer,
    Config,
    MeasurementResult,
    MultipleLossRatioSearch,
    SearchGoal,
)

from fieldtap.linktest.search import Bounds, Measure, Span

MAX_SEARCH_S = 7 * 24 * 3600.0
"""The library gives up after this long: a search is bounded by its trials, not by this."""


def library_version() -> str:
    """Return the name and release of what is installed."""
    return f"MLRsearch {version('MLRsearch')}"


def search(measure: Measure, span: Span) -> Bounds:
    """Find the throughput as RFC 2544 defines it: no loss, proved by a trial of `final_s`."""
    goal = SearchGoal(
        loss_ratio=0.0,
        exceed_ratio=0.0,
        relative_width=span.precision,
        initial_trial_duration=min(span.search_s, span.final_s),
        final_trial_duration=span.final_s,
        duration_sum=span.final_s,
        preceding_targets=2,
        expansion_coefficient=2,
        fail_fast=False,
    )
    config = Config(
        goals=[goal],
        min_load=span.lowest_pps,
        max_load=span.highest_pps,
        search_duration_max=MAX_SEARCH_S,
        warmup_duration=None,
    )
    found = MultipleLossRatioSearch(config=config).search(_Measurer(measure), debug=_quiet)[goal]
    lower, upper = found.relevant_lower_bound, found.relevant_upper_bound
    return Bounds(None if lower is None else float(lower), None if upper is None else float(upper))


class _Measurer(AbstractMeasurer):  # type: ignore[misc]  # the library has no types
    """Runs the trials that the library asks for."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        """Run one trial; the arguments' names are the library's."""
        outcome = self._measure(intended_load, intended_duration)
        return MeasurementResult(
            intended_duration=intended_duration,
            intended_load=intended_load,
            offered_count=outcome.sent,
            loss_count=outcome.lost,
        )


def _quiet(_: str) -> None:
    """Our trials are in the report; the library's own words are not needed."""
