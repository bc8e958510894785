"""What a million frames cost to capture: ft-capture beside tcpdump, dumpcap and netsniff-ng.

Each program records the same stream at one end of a link in namespaces of its own, into a file,
with a kernel ring of the same size. The cost is processor time, user and system, of the program
alone: what the kernel does before a frame is in the ring falls on the sender, the same for all.
Lost is what left the sender and is not in the file.

Instructions are those of ft-capture alone, by callgrind, from a capture file to nowhere: the
difference of two sizes leaves what one frame costs, free of noise, for one change beside the next.
"""

import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fieldlab import End, ft_capture, ft_generate, lab, tool

ROUNDS = 3
FRAMES = 2_000_000
FRAME_BYTES = 64
RING_MIB = 64
SETTLE_S = 1.0
"""Long enough for every program to be ready, or to have read its ring empty."""

FEW, MANY = 20_000, 120_000

Command = Callable[[str, Path], list[str]]
"""From a port's name and an output file to a command line."""


@dataclass(frozen=True)
class Cost:
    """The medians of a program's rounds, and its cost in that of ft-capture."""

    program: str
    frames_sent: int
    frames_lost: int
    cpu_s_per_million: float
    ratio: float


@dataclass(frozen=True)
class _Sample:
    sent: int
    stored: int
    cpu_s: float


def run() -> list[Cost]:
    """Run every program `ROUNDS` times, in turn. Raises `LabError` where a peer is missing."""
    commands = _commands()
    samples: dict[str, list[_Sample]] = {program: [] for program in commands}
    with tempfile.TemporaryDirectory() as folder, lab() as link:
        os.environ["FIELDTAP_RUN_DIR"] = folder
        for _ in range(ROUNDS):
            for program, command in commands.items():
                output = Path(folder) / f"{program}.capture"
                samples[program].append(_measure(link.left, link.right, command, output))
                output.unlink()
    return _judge(samples)


def instructions_per_frame() -> float:
    """Return what ft-capture executes for one frame of the smallest size, from file to nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FIELDTAP_RUN_DIR"] = folder
        few, many = (_instructions(Path(folder), frames) for frames in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main() -> None:
    """Print the table."""
    row = "{:<18}{:<13}{:>9}{:>9}{:>14}{:>7}\n"
    sys.stdout.write(row.format("case", "program", "sent", "lost", "CPU s/Mframe", "ratio"))
    for cost in run():
        per_million, ratio = f"{cost.cpu_s_per_million:.3f}", f"{cost.ratio:.2f}"
        case = f"capture {FRAME_BYTES} B"
        figures = (cost.frames_sent, cost.frames_lost, per_million, ratio)
        sys.stdout.write(row.format(case, cost.program, *figures))
    instructions = f"{instructions_per_frame():.0f}"
    sys.stdout.write(f"file to null: {instructions} instructions a frame, reading included\n")


def _commands() -> dict[str, Command]:
    """Ours first, the measure of the others; nanoseconds where a program can be asked for them."""
    ring_kib = str(RING_MIB << 10)
    tcpdump = [tool("tcpdump"), "-n", "-Z", "root", "--nano", "-B", ring_kib]
    netsniff = [tool("netsniff-ng"), "--silent", "--ring-size", f"{RING_MIB}MiB"]
    netsniff += ["--no-sock-mem", "--notouch-irq", "--magic", "0xa1b23c4d"]
    dumpcap = [tool("dumpcap"), "-q", "-B", str(RING_MIB)]
    return {
        "ft-capture": lambda port, path: ft_capture(
            "-i", port, "-w", path, "--buffer", f"{RING_MIB}MiB"
        ),
        "tcpdump": lambda port, path: [*tcpdump, "-i", port, "-w", str(path)],
        "dumpcap": lambda port, path: [*dumpcap, "-i", port, "-w", str(path)],
        "netsniff-ng": lambda port, path: [*netsniff, "--in", port, "--out", str(path)],
    }


def _measure(sender: End, receiver: End, command: Command, output: Path) -> _Sample:
    """Send the stream to one capturing program; let it read all, end it and count its file."""
    before = _frames_received(receiver)
    argv = receiver.command(*command(receiver.port, output))
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(SETTLE_S)
    stream = ("--size", str(FRAME_BYTES), "--count", str(FRAMES))
    sender.run(*ft_generate("-o", sender.port, *stream))
    time.sleep(SETTLE_S)
    process.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    sent = _frames_received(receiver) - before
    return _Sample(sent, _frames_in(output), usage.ru_utime + usage.ru_stime)


def _frames_received(end: End) -> int:
    """Return the port's own count of what has come over the link."""
    return int(end.run("cat", f"/sys/class/net/{end.port}/statistics/rx_packets").stdout)


def _frames_in(path: Path) -> int:
    command = [tool("capinfos"), "-T", "-r", "-M", "-c", str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(shown.split("\t")[-1])


def _judge(samples: dict[str, list[_Sample]]) -> list[Cost]:
    costs: list[Cost] = []
    for program, rounds in samples.items():
        cost = statistics.median(1e6 * one.cpu_s / max(one.stored, 1) for one in rounds)
        sent = round(statistics.median(one.sent for one in rounds))
        lost = round(statistics.median(one.sent - one.stored for one in rounds))
        ours = costs[0].cpu_s_per_million if costs else cost
        costs.append(Cost(program, sent, lost, cost, cost / ours))
    return costs


def _instructions(folder: Path, frames: int) -> int:
    """Return what one whole run executes on a capture of `frames` smallest frames."""
    source, counted = folder / "source.pcap", folder / "callgrind.out"
    frame = bytes(FRAME_BYTES - 4)
    record = struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame
    header = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    source.write_bytes(header + record * frames)
    command = [tool("valgrind"), "--tool=callgrind", f"--callgrind-out-file={counted}"]
    command += ft_capture("-i", f"file:{source}", "-w", "null:")
    subprocess.run(command, check=True, capture_output=True)
    match = re.search(r"^(?:summary|totals): (\d+)", counted.read_text(), re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{counted}: callgrind wrote no total")
    return int(match[1])


if __name__ == "__main__":
    main()
