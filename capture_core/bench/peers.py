"""The capturing programs, and one stream over a virtual link into the file of one of them.

Each records at one end of a link in namespaces of its own, with a kernel ring of the same size, in
nanoseconds where it can be asked for them. Processor time is user and system time of the program
alone: what the kernel does before a frame is in the ring falls on the sender, the same for all.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fieldlab import End, Lab, ft_capture, ft_generate, tool

from capture_core.bench import measuring

FRAME_BYTES = 64
RING_MIB = 64
SETTLE_S = 1.0
"""Long enough for every program to be ready, or to have read its ring empty."""

SENDING_TIMEOUT_S = 600.0

Command = Callable[[str, Path], list[str]]
"""From a port's name and an output file to a command line."""


@dataclass(frozen=True)
class Sample:
    """One stream: frames that came over the link, frames in the file, and what they cost."""

    sent: int
    stored: int
    offered_pps: float
    cpu_s: float

    @property
    def lost(self) -> int:
        """Frames that left the sender and are not in the file."""
        return self.sent - self.stored

    @property
    def cpu_s_per_million(self) -> float:
        """The cost of a million frames in the file."""
        return 1e6 * self.cpu_s / max(self.stored, 1)


def ours(*options: str, backend: str = "") -> Command:
    """Return how ft-capture is run on a port of a back end, with options beside the usual ones."""
    ring = ("--buffer", f"{RING_MIB}MiB")
    return lambda port, path: ft_capture("-i", f"{backend}{port}", "-w", path, *ring, *options)


def peers() -> dict[str, Command]:
    """Return the others. Raises `LabError` where one is missing."""
    ring_kib = str(RING_MIB << 10)
    tcpdump = [tool("tcpdump"), "-n", "-Z", "root", "--nano", "-B", ring_kib]
    netsniff = [tool("netsniff-ng"), "--silent", "--ring-size", f"{RING_MIB}MiB"]
    netsniff += ["--no-sock-mem", "--notouch-irq", "--magic", "0xa1b23c4d"]
    dumpcap = [tool("dumpcap"), "-q", "-B", str(RING_MIB)]
    return {
        "tcpdump": lambda port, path: [*tcpdump, "-i", port, "-w", str(path)],
        "dumpcap": lambda port, path: [*dumpcap, "-i", port, "-w", str(path)],
        "netsniff-ng": lambda port, path: [*netsniff, "--in", port, "--out", str(path)],
    }


def measure(link: Lab, command: Command, folder: Path, stream: Sequence[str]) -> Sample:
    """Send a stream to a capturing program; let it read all, end it and count its file."""
    output, sending = folder / "capture", folder / "sender.json"
    before = _frames_received(link.right)
    argv = link.right.command(*command(link.right.port, output))
    with (folder / "words").open("w+") as words:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=words)
        time.sleep(SETTLE_S)
        if process.poll() is not None:
            words.seek(0)
            raise RuntimeError(words.read().strip())
    try:
        size = ("--size", str(FRAME_BYTES), "--report", str(sending))
        link.left.run(
            *ft_generate("-o", link.left.port, *size, *stream), timeout_s=SENDING_TIMEOUT_S
        )
        time.sleep(SETTLE_S)
        process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
    sent, stored = _frames_received(link.right) - before, _frames_in(output)
    for path in folder.glob("capture*"):
        path.unlink()
    pps = float(measuring.read_json(sending)["tx"]["pps"])
    return Sample(sent, stored, pps, usage.ru_utime + usage.ru_stime)


def _frames_received(end: End) -> int:
    """Return the port's own count of what has come over the link."""
    return int(end.run("cat", f"/sys/class/net/{end.port}/statistics/rx_packets").stdout)


def _frames_in(path: Path) -> int:
    command = [tool("capinfos"), "-T", "-r", "-M", "-c", str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(shown.split("\t")[-1])
