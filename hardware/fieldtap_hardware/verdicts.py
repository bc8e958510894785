"""Verdicts, the checks that carry them, and the report `fieldtap.check/1`."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

Evidence = dict[str, str | int | float | bool | list[str] | None]
"""What a verdict rests on: names carry units, None is a figure that could not be read."""


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


# Best to worst. What is not known may hide a failure, so it outranks a warning and is never ok.
ORDER = (Verdict.NOT_APPLICABLE, Verdict.OK, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)


class Unreadable(Struct, frozen=True):
    """Stands where a value would, had it been possible to read it."""

    reason: str  # in the system's words


class Check(Struct, frozen=True):
    """One answered question.

    `id` names the question ("port.link"), `subject` the port, directory or program asked about.
    `summary` is one sentence; `remedy` says what to do, and is None where nothing needs doing.
    """

    id: str
    subject: str
    verdict: Verdict
    summary: str
    evidence: Evidence
    remedy: str | None = None


class Report(Struct, frozen=True, kw_only=True):
    """Every check of one run, and the worst of their verdicts."""

    schema: str = "fieldtap.check/1"
    verdict: Verdict
    checks: tuple[Check, ...]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of `verdicts` by `ORDER`; `unknown` if there are none, for nothing was checked."""
    return max(verdicts, key=ORDER.index, default=Verdict.UNKNOWN)


def report_of(checks: Iterable[Check]) -> Report:
    """A report of `checks`, in their order."""
    listed = tuple(checks)
    return Report(verdict=worst(check.verdict for check in listed), checks=listed)
