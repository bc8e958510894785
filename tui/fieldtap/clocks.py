"""The command layer for time: what keeps it, and each change as it comes."""

import re
import time
from collections.abc import Iterator

from fieldtap_hardware.clock_checks import ClockReport, read_report, report_of
from fieldtap_hardware.clock_state import Watch
from fieldtap_hardware.verdicts import Check
from msgspec import Struct


class ClockEvent(Struct, frozen=True, kw_only=True):
    """`fieldtap.clock-event/1`: a check that is new, or no longer says what it said.

    `check` is None once there is nothing left for it to be about.
    """

    schema: str = "fieldtap.clock-event/1"
    at_ns: int  # UTC
    id: str
    subject: str
    check: Check | None


def report(least_s: float) -> ClockReport:
    """Look for at least `least_s` seconds, then judge."""
    return read_report(least_s)


def changes() -> Iterator[ClockEvent]:
    """Watch for ever; first comes everything as it is now."""
    watch, told = Watch(), dict[tuple[str, str], object]()
    while True:
        checks = {(c.id, c.subject): c for c in report_of(watch, watch.look()).checks}
        now_ns = time.time_ns()
        for key in [key for key in told if key not in checks]:
            del told[key]
            yield ClockEvent(at_ns=now_ns, id=key[0], subject=key[1], check=None)
        for key, check in checks.items():
            if key not in told or told[key] != _gist(check):
                told[key] = _gist(check)
                yield ClockEvent(at_ns=now_ns, id=check.id, subject=check.subject, check=check)
        time.sleep(watch.pause_s)


def _gist(check: Check) -> object:
    """What must change for a change: figures alone do so all the time."""
    words = re.sub(r"[-+]?[0-9][0-9,.]*", "#", check.summary)
    names = ("grandmaster", "utc_offset_s", "programs")
    return check.verdict, words, [check.evidence.get(name) for name in names]
