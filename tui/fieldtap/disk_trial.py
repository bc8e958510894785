"""How fast can a folder be written? The engine's own writer, with frames made in memory, says it.

Bounded in bytes and in seconds; what was written is removed again. It refuses where space is short
or an engine runs, whose frames it could cost.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from fieldtap_core import survey
from fieldtap_core.control import Control
from fieldtap_core.errors import EngineError, EngineGoneError
from fieldtap_core.messages import CaptureStatus
from fieldtap_core.programs import find_program
from fieldtap_hardware.verdicts import Unreadable
from fieldtap_hardware.words import size_words
from fieldtap_hardware.write_rate import Interval, WriteRun

DEFAULT_BYTES = 8_000_000_000
MOST_SECONDS = 60
LEAVE_FREE_BYTES = 1 << 30
LOOK_EVERY_S = 0.25
FRAMES = "synth:size=1518"
SOURCE_SECONDS = 1
DISK_SHARE = 0.8  # of what the source gives to no disk at all: below it the disk was the limit
SCRATCH_PREFIX = ".fieldtap-measure-"
END_TIMEOUT_S = 60
NAME = "measure"


def measure(directory: Path, most_bytes: int, say: Callable[[str], None]) -> WriteRun | Unreadable:
    """Write up to `most_bytes`, for at most `MOST_SECONDS`, and remove it."""
    try:
        if running := [engine.status.name for engine in survey.look().engines]:
            return Unreadable(f"{running[0]} is running, and could lose frames by it")
        figures = os.statvfs(directory)
        available = figures.f_bavail * figures.f_frsize
        if available < most_bytes + LEAVE_FREE_BYTES:
            needed = size_words(most_bytes + LEAVE_FREE_BYTES)
            return Unreadable(f"it has {size_words(available)} free, and {needed} are needed")
        say("measuring how fast frames can be made")
        source = _run("null:", f"duration:{SOURCE_SECONDS}")
        say(f"writing {size_words(most_bytes)} to {directory}")
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=directory) as scratch:
            limits = f"filesize:{most_bytes // 1000}", f"duration:{MOST_SECONDS}"
            written = _run(f"{scratch}/frames.pcapng", *limits)
    except OSError as error:
        return Unreadable(f"{error.strerror or error}")
    except EngineError as error:
        return Unreadable(str(error))
    if not source or not written:
        return Unreadable("the run was too short to tell: give a larger --write")
    return WriteRun(
        measured_ns=time.time_ns(),
        intervals=tuple(written),
        disk_was_the_limit=_rate(written) < DISK_SHARE * _rate(source),
    )


def _rate(intervals: list[Interval]) -> float:
    seconds = sum(interval.seconds for interval in intervals)
    return sum(interval.bytes for interval in intervals) / seconds if seconds else 0.0


def _run(output: str, *limits: str) -> list[Interval]:
    """What the engine stored from look to look; the first one, which fills its buffers, excepted.

    Raises `EngineError` where it fails. It runs in a RUN directory of its own: nobody else's
    console shows it.
    """
    with tempfile.TemporaryDirectory(prefix="fieldtap-") as run_dir:
        stops = [word for limit in limits for word in ("-a", limit)]
        program = os.fspath(find_program("ft-capture"))
        command = [program, "-q", "-i", FRAMES, "-w", output, *stops, "--name", NAME]
        with _engine(command, Path(run_dir)) as engine:
            looks = list(_looks(engine, Path(run_dir) / NAME / "control.sock"))
            _, errors = engine.communicate(timeout=END_TIMEOUT_S)
        if engine.returncode != 0:
            lines = errors.decode(errors="replace").strip().splitlines()
            raise EngineError(lines[-1] if lines else f"the engine ended with {engine.returncode}")
    return [
        Interval((later[0] - earlier[0]) / 1e9, later[1] - earlier[1])
        for earlier, later in pairwise(looks[1:])
    ]


@contextmanager
def _engine(command: list[str], run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The engine; it is ended with us, whatever ends us."""
    engine = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"FIELDTAP_RUN_DIR": os.fspath(run_dir)},
    )
    with engine:
        try:
            yield engine
        finally:
            if engine.poll() is None:
                engine.kill()


def _looks(engine: subprocess.Popen[bytes], socket: Path) -> Iterator[tuple[int, int]]:
    """Time in nanoseconds and bytes stored, until the engine ends."""
    while engine.poll() is None:
        try:
            with Control(socket) as control:
                while True:
                    status = control.status()
                    assert isinstance(status, CaptureStatus)
                    yield status.now_ns, sum(port.bytes_stored for port in status.ports)
                    time.sleep(LOOK_EVERY_S)
        except EngineGoneError:
            time.sleep(LOOK_EVERY_S / 10)
