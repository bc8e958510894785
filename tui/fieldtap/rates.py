"""Rates from successive statuses: engines count, clients subtract."""

from collections import deque

from fieldtap_core.messages import Status

from fieldtap import words

WINDOW_NS = 2_000_000_000
"""An engine's counts move in steps of half a second: over less than a second, rates would jump."""


class Rates:
    """Remembers the recent statuses of each run, by process."""

    def __init__(self) -> None:
        self._recent: dict[int, deque[Status]] = {}

    def add(self, status: Status) -> None:
        """Take the newest status of a run."""
        recent = self._recent.setdefault(status.pid, deque())
        recent.append(status)
        while len(recent) > 2 and recent[1].now_ns <= status.now_ns - WINDOW_NS:
            recent.popleft()

    def frames_per_s(self, status: Status) -> float:
        """Frames a second over the window, for the run that gave `status`."""
        return self._rate(status, words.frames)

    def bits_per_s(self, status: Status) -> float:
        """Bits a second over the window: captured ones, or those sent, with FCS."""
        return 8 * self._rate(status, words.captured_bytes)

    def _rate(self, status: Status, counter: words.Counter) -> float:
        recent = self._recent.get(status.pid)
        if not recent:
            return 0.0
        elapsed_ns = recent[-1].now_ns - recent[0].now_ns
        grown = counter(recent[-1]) - counter(recent[0])
        return grown * 1e9 / elapsed_ns if elapsed_ns > 0 else 0.0
