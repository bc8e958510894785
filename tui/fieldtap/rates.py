"""Rates from successive statuses: engines count, clients subtract."""

from fieldtap_core.messages import Status

from fieldtap import words


class Rates:
    """Remembers the last two statuses of each run."""

    def __init__(self) -> None:
        self._pairs: dict[int, tuple[Status, Status]] = {}

    def add(self, status: Status) -> None:
        """Take the newest status of a run."""
        before = self._pairs.get(status.pid)
        self._pairs[status.pid] = (before[1] if before else status, status)

    def frames_per_s(self, status: Status) -> float:
        """Frames a second between the last two statuses of the run that gave `status`."""
        return self._rate(status, words.frames)

    def bits_per_s(self, status: Status) -> float:
        """Captured or sent bits a second, without FCS."""
        return 8 * self._rate(status, words.captured_bytes)

    def _rate(self, status: Status, counter: "words.Counter") -> float:
        old, new = self._pairs.get(status.pid, (status, status))
        elapsed_ns = new.now_ns - old.now_ns
        return (counter(new) - counter(old)) * 1e9 / elapsed_ns if elapsed_ns > 0 else 0.0
