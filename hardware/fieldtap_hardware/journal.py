"""A journal that survives its writer: JSON lines, each synced before what it announces is done.

A crash can tear only the last line, since each is synced before the next is begun. A torn last line
is cut off when the journal is opened again; damage anywhere else is an error, not a guess.
"""

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

MAX_BYTES = 1 << 20
Event = Literal["begin", "note", "end"]


class JournalError(Exception):
    """The journal cannot be read or written; the text says why."""


class Entry(Struct, frozen=True, kw_only=True):
    """One line: a step began, something about it, or it ended."""

    number: int  # from 0, without a gap
    time_ns: int  # UTC
    step: str
    event: Event
    data: dict[str, object] = {}


class Journal:
    """An open journal. `entries` are all that is in it."""

    def __init__(self, path: Path) -> None:
        """Open the journal at `path`, or make it. Raises JournalError, or OSError."""
        self.path = path
        raw = path.read_bytes() if path.exists() else b""
        self.entries, whole_bytes = parse(raw)
        self._file = path.open("ab", buffering=0)
        self._file.truncate(whole_bytes)
        os.fsync(self._file.fileno())
        sync_folder(path.parent)

    def append(self, step: str, event: Event, data: Mapping[str, object] | None = None) -> None:
        """Add an entry; it is on the disk when this returns. Raises OSError, adding nothing."""
        entry = Entry(
            number=len(self.entries),
            time_ns=time.time_ns(),
            step=step,
            event=event,
            data=dict(data or {}),
        )
        line = msgspec.json.encode(entry) + b"\n"
        whole_bytes = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(line) != len(line):  # as a disk does that is nearly full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(self.path))
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(whole_bytes)  # else the next line would go on in the torn one
            raise
        self.entries.append(entry)

    def close(self) -> None:
        self._file.close()

    def find(self, step: str, event: Event) -> Entry | None:
        """The last such entry."""
        found = (e for e in reversed(self.entries) if (e.step, e.event) == (step, event))
        return next(found, None)

    def has_ended(self, step: str) -> bool:
        """Did the step end, and did not begin again since?"""
        events = [entry.event for entry in self.entries if entry.step == step]
        edges = [event for event in events if event != "note"]
        return bool(edges) and edges[-1] == "end"

    def unfinished(self) -> str | None:
        """The step that began last and did not end."""
        begun = None
        for entry in self.entries:
            if entry.event == "begin":
                begun = entry.step
            elif entry.event == "end" and entry.step == begun:
                begun = None
        return begun


def parse(raw: bytes) -> tuple[list[Entry], int]:
    """The entries, and how many bytes they take; what is after those is a torn last line.

    Raises JournalError where a line that was followed by another is damaged.
    """
    if len(raw) > MAX_BYTES:
        raise JournalError(f"the journal is larger than {MAX_BYTES} bytes")
    entries: list[Entry] = []
    whole_bytes = 0
    lines = raw.split(b"\n")
    for number, line in enumerate(lines[:-1]):  # what is after the last line end is torn
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, RecursionError) as error:
            if number == len(lines) - 2 and not lines[-1]:
                break  # the blocks of one write need not reach a disk in order
            raise JournalError(f"line {number + 1} of the journal is damaged: {error}") from error
        if entry.number != number:
            raise JournalError(f"line {number + 1} of the journal has the number {entry.number}")
        entries.append(entry)
        whole_bytes += len(line) + 1
    return entries, whole_bytes


def sync_folder(folder: Path) -> None:
    """Make names in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
