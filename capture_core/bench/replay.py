"""How well a capture's timing is kept: ft-generate beside tcpreplay, in one run.

Each replays 20,000 frames, 100 microseconds apart, from one end of a link in namespaces of its own.
The stamps are those that the kernel gives at the other end. Drift is how much later, against the
capture, the last hundred frames came than the first hundred, by their medians, so that no single
frame makes it; a gap's error is how far it is from 100 microseconds. Medians over the rounds: on a
machine that does other work, look at the best round too, and at the rows with real-time priority,
which ft-generate takes by itself only with four processors or an isolated one.
"""

import statistics
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fieldlab import End, Lab, ft_generate, lab, tool

from capture_core.bench import measuring

ROUNDS = 5
FRAMES = 20_000
GAP_NS = 100_000
EDGE_FRAMES = 100
FRAME = bytes.fromhex("0200c61300010200c612000188b5").ljust(60, b"\0")
NSEC_PCAP_MAGIC = 0xA1B23C4D
RECEIVER = Path(__file__).with_name("stamped_receiver.py")
RUN_TIMEOUT_S = 120

Command = Callable[[str, Path], list[str]]
"""From a port's name and a capture to a command line."""


@dataclass(frozen=True)
class Timing:
    """One replay as it arrived: microseconds."""

    drift_us: float
    median_us: float
    p99_us: float
    worst_us: float


def run() -> dict[str, list[Timing]]:
    """Return the timings of each program, one a round. Raises `LabError` where one is missing."""
    programs: dict[str, Command] = {
        "ft-generate": _ours,
        "tcpreplay": _tcpreplay(),
        "tcpreplay -K": _tcpreplay("-K"),
        "tcpreplay -K -T nano": _tcpreplay("-K", "-T", "nano"),
        "ft-generate, real time": _in_real_time(_ours),
        "tcpreplay -K, real time": _in_real_time(_tcpreplay("-K")),
    }
    timings: dict[str, list[Timing]] = {name: [] for name in programs}
    with measuring.scratch() as folder, lab() as link:
        capture = _write_capture(folder / "even.pcap")
        for _ in range(ROUNDS):
            for name, command in programs.items():
                stamps = _stamps(link, command(link.left.port, capture))
                timings[name].append(_judge(stamps))
    return timings


def main() -> None:
    """Print the table."""
    columns = ("program", "drift, us", "best", "median gap error, us", "best", "p99, us", "worst")
    rows = [(name, *_medians(seen)) for name, seen in run().items()]
    measuring.print_table(columns, rows)


def _ours(port: str, capture: Path) -> list[str]:
    return ft_generate("-o", f"afpacket:{port}", "--replay", capture)


def _in_real_time(command: Command) -> Command:
    return lambda port, capture: [tool("chrt"), "--fifo", "1", *command(port, capture)]


def _tcpreplay(*options: str) -> Command:
    path = tool("tcpreplay")
    return lambda port, capture: [path, "-q", *options, "-i", port, str(capture)]


def _write_capture(path: Path) -> Path:
    """Stamps in nanoseconds, which tcpreplay reads too."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHIIII", NSEC_PCAP_MAGIC, 2, 4, 0, 0, 65535, 1))
        for number in range(FRAMES):
            seconds, rest = divmod(number * GAP_NS, 1_000_000_000)
            file.write(struct.pack("<IIII", 1 + seconds, rest, len(FRAME), len(FRAME)) + FRAME)
    return path


def _stamps(link: Lab, command: list[str]) -> list[int]:
    """Run one replay; return when each frame arrived, nanoseconds."""
    receiver = subprocess.Popen(
        link.right.command(sys.executable, RECEIVER, link.right.port),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert receiver.stdout is not None
        if receiver.stdout.readline() != "ready\n":
            raise RuntimeError(f"{RECEIVER.name} does not receive")
        _send(link.left, command)
        shown, _ = receiver.communicate("done\n", RUN_TIMEOUT_S)
    finally:
        receiver.kill()
        receiver.wait()
    stamps = [int(line) for line in shown.split()]
    if len(stamps) != FRAMES:
        raise RuntimeError(f"{command[0]}: {len(stamps)} of {FRAMES} frames arrived")
    return stamps


def _send(end: End, command: list[str]) -> None:
    done = subprocess.run(
        end.command(*command), capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: exit code {done.returncode}: {done.stderr.strip()}")


def _judge(stamps: list[int]) -> Timing:
    offsets = [stamp - number * GAP_NS for number, stamp in enumerate(stamps)]
    drift_ns = statistics.median(offsets[-EDGE_FRAMES:]) - statistics.median(offsets[:EDGE_FRAMES])
    errors = sorted(abs(after - before - GAP_NS) for before, after in pairwise(stamps))
    return Timing(
        drift_us=drift_ns / 1e3,
        median_us=statistics.median(errors) / 1e3,
        p99_us=errors[len(errors) * 99 // 100] / 1e3,
        worst_us=errors[-1] / 1e3,
    )


def _medians(seen: list[Timing]) -> tuple[str, ...]:
    drift = [timing.drift_us for timing in seen]
    gap = [timing.median_us for timing in seen]
    return (
        f"{measuring.median(drift):.2f}",
        f"{min(drift, key=abs):.2f}",
        f"{measuring.median(gap):.2f}",
        f"{min(gap):.2f}",
        f"{measuring.median([timing.p99_us for timing in seen]):.1f}",
        f"{measuring.median([timing.worst_us for timing in seen]):.0f}",
    )
