"""What a million frames cost to send: ft-generate beside trafgen and tcpreplay, in one run.

Each program sends the same frames from one end of a link in namespaces of its own; nobody receives.
The cost is processor time, user and system, of the program alone: on a virtual link that includes
the whole packet path, so it compares on a machine that does other work too. Frames sent are the
port's own count.
"""

import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fieldlab import End, ft_generate, lab, tool

ROUNDS = 5
FRAMES = 300_000
REPLAY_FRAMES = 50_000
FCS_BYTES = 4

HEADERS = bytes.fromhex(
    "0200c61300010200c61200010800"  # Ethernet
    "4500002e00004000401100000000000000000000"  # IPv4; nobody reads it
)


@dataclass(frozen=True)
class Job:
    """One program that sends `frames` frames in its own way."""

    case: str
    program: str
    argv: Callable[[str], list[str]]
    """From a port's name to a command line."""
    frames: int


@dataclass(frozen=True)
class Cost:
    """The medians of a job's rounds, and its cost in that of ft-generate for the same case."""

    case: str
    program: str
    frames_asked: int
    frames_sent: int
    cpu_s_per_million: float
    ratio: float


def run() -> list[Cost]:
    """Run every job `ROUNDS` times, in turn. Raises `LabError` where a peer is missing."""
    with tempfile.TemporaryDirectory() as folder, lab() as link:
        jobs = list(_jobs(Path(folder)))
        samples: list[list[tuple[int, float]]] = [[] for _ in jobs]
        for _ in range(ROUNDS):
            for job, seen in zip(jobs, samples, strict=True):
                seen.append(_measure(link.left, job))
    return _judge(jobs, samples)


def main() -> None:
    """Print the table."""
    row = "{:<18}{:<13}{:>9}{:>9}{:>14}{:>7}\n"
    sys.stdout.write(row.format("case", "program", "asked", "sent", "CPU s/Mframe", "ratio"))
    for cost in run():
        per_million, ratio = f"{cost.cpu_s_per_million:.2f}", f"{cost.ratio:.2f}"
        sys.stdout.write(
            row.format(
                cost.case, cost.program, cost.frames_asked, cost.frames_sent, per_million, ratio
            )
        )


def _jobs(folder: Path) -> Iterator[Job]:
    for size in (64, 1518):
        case = f"generate {size} B"
        options = ("--size", str(size), "--count", str(FRAMES))
        yield Job(case, "ft-generate", _ours(*options), FRAMES)
        yield Job(case, "trafgen", _trafgen(folder, size), FRAMES)
    for size in (64, 1518):
        case = f"replay {size} B"
        path = folder / f"replay-{size}.pcap"
        _write_capture(path, size)
        options = ("--replay", str(path), "--rate", "max")
        yield Job(case, "ft-generate", _ours(*options), REPLAY_FRAMES)
        yield Job(case, "tcpreplay", _tcpreplay(path), REPLAY_FRAMES)


def _ours(*options: str) -> Callable[[str], list[str]]:
    return lambda port: ft_generate("-o", port, *options)


def _trafgen(folder: Path, size_bytes: int) -> Callable[[str], list[str]]:
    """On one processor and through the queue, as ours; it leaves the machine's settings alone."""
    config = folder / f"trafgen-{size_bytes}.cfg"
    octets = ", ".join(f"0x{octet:02x}" for octet in HEADERS)
    fill = size_bytes - FCS_BYTES - len(HEADERS)
    config.write_text(f"{{ {octets}, fill(0x00, {fill}) }}\n")
    options = ["--conf", str(config), "--num", str(FRAMES), "--cpus", "1"]
    options += ["--no-sock-mem", "--notouch-irq", "--qdisc-path"]
    return lambda port: [tool("trafgen"), "--dev", port, *options]


def _tcpreplay(path: Path) -> Callable[[str], list[str]]:
    """At top speed, from memory."""
    return lambda port: [tool("tcpreplay"), "-q", "-t", "-K", "-i", port, str(path)]


def _write_capture(path: Path, size_bytes: int) -> None:
    frame = HEADERS.ljust(size_bytes - FCS_BYTES, b"\0")
    header = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    with path.open("wb") as file:
        file.write(header)
        for number in range(REPLAY_FRAMES):
            file.write(struct.pack("<IIII", 1, number, len(frame), len(frame)) + frame)


def _measure(end: End, job: Job) -> tuple[int, float]:
    """Return the frames that left the port, and the processor seconds of the program."""
    before = _frames_sent(end)
    process = subprocess.Popen(
        end.command(*job.argv(end.port)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    words = process.stderr.read() if process.stderr is not None else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{job.program}: exit code {process.returncode}: {words.decode()}")
    return _frames_sent(end) - before, usage.ru_utime + usage.ru_stime


def _frames_sent(end: End) -> int:
    shown = end.run(tool("ip"), "-json", "-stats", "link", "show", "dev", end.port).stdout
    return int(json.loads(shown)[0]["stats64"]["tx"]["packets"])


def _judge(jobs: list[Job], samples: list[list[tuple[int, float]]]) -> list[Cost]:
    """The first job of a case is ours, the measure of the others."""
    costs: list[Cost] = []
    ours: dict[str, float] = {}
    for job, seen in zip(jobs, samples, strict=True):
        sent = round(statistics.median(frames for frames, _ in seen))
        cost = statistics.median(1e6 * cpu_s / max(frames, 1) for frames, cpu_s in seen)
        ratio = cost / ours.setdefault(job.case, cost)
        costs.append(Cost(job.case, job.program, job.frames, sent, cost, ratio))
    return costs


if __name__ == "__main__":
    main()
