"""One line a step, with the time it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_STARTED = time.monotonic()


def say(name: str, text: str) -> None:
    """One finished line, stamped with the seconds since the start."""
    print(f"image: {time.monotonic() - _STARTED:6.1f} s  {name:<10} {text}", flush=True)  # noqa: T201


@contextmanager
def step(name: str, text: str) -> Iterator[None]:
    """Say `text` when the work in the block is done, and how long it took.

    On a terminal the line is there from the start, so that a long step is not silent.
    """
    begin = time.monotonic()
    if sys.stdout.isatty():
        print(f"image:      ... {name:<10} {text}", end="\r", flush=True)  # noqa: T201
    yield
    say(name, f"{text} ({time.monotonic() - begin:.1f} s)")
