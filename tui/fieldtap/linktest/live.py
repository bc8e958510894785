"""A running link test as others see it: what it does now, what it did, and its end on request.

The test runs in a thread of its own; each field here is written by that thread and read by any.
"""

import threading
import time

from fieldtap.linktest.trial import Snapshot, Trial, TrialResult


class Live:
    """A `Listener` that remembers, and a `Clock` whose sleep ends when the test is to end.

    `trial` runs now, since `began_ns`; `snapshot` is None until it counts. `results` only grows.
    """

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.began_ns = 0
        self.snapshot: Snapshot | None = None
        self.results: list[TrialResult] = []
        self._ending = threading.Event()

    def abort(self) -> None:
        """Let the test end soon, as Ctrl-C would; what it has found is reported."""
        self._ending.set()

    def begins(self, trial: Trial) -> None:
        """A trial is about to run."""
        self._check()
        self.snapshot = None
        self.began_ns = self.now_ns()
        self.trial = trial

    def goes_on(self, trial: Trial, snapshot: Snapshot) -> None:
        """A trial runs."""
        self._check()
        self.snapshot = snapshot

    def ended(self, result: TrialResult) -> None:
        """A trial has ended, valid or not."""
        self.trial = None
        self.results.append(result)

    def now_ns(self) -> int:
        """Nanoseconds UTC."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self._ending.wait(seconds)
        self._check()

    def _check(self) -> None:
        if self._ending.is_set():
            raise KeyboardInterrupt
