"""How a link test gets on: a line that changes on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from fieldtap import words
from fieldtap.linktest.trial import Snapshot, Trial, TrialResult


class Progress:
    """Tells on stderr of each trial; a context manager, and a `Listener`."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._quiet = quiet
        self._status: Status | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def begins(self, trial: Trial) -> None:
        """A trial is about to run."""
        self._began = time.monotonic()
        self._show(_asked(trial))

    def goes_on(self, trial: Trial, snapshot: Snapshot) -> None:
        """A trial runs."""
        elapsed_s = time.monotonic() - self._began
        of = "" if trial.duration_s is None else f" of {trial.duration_s:g}"
        counts = f"{words.count(snapshot.sent)} sent, {words.count(snapshot.lost)} lost"
        self._show(f"{_asked(trial)}, {elapsed_s:.0f}{of} s: {counts}")

    def ended(self, result: TrialResult) -> None:
        """A trial has ended, valid or not."""
        if self._quiet:
            return
        asked = _asked(result.trial)
        if result.valid:
            said = f"{words.count(result.sent)} sent, {words.count(result.lost)} lost"
        else:
            said = f"NOT VALID: {result.invalid_reason}"
        self._console.print(Text(f"{asked}: {said}"), soft_wrap=True)

    def _show(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(text))


def _asked(trial: Trial) -> str:
    """The trial in a few words."""
    flow = trial.flows[0]
    name = f"{flow.name} " if flow.name else ""
    load = "top speed" if flow.rate_pps is None else words.scaled(flow.rate_pps, "frames/s")
    burst = f", {words.count(flow.count)} frames" if flow.count is not None else ""
    return f"{trial.purpose} {name}{flow.frame_bytes} bytes at {load}{burst}"
