"""What frames cost to send: ft-generate's back ends beside trafgen and tcpreplay, in one run.

Each program sends the same frames over a link in namespaces of its own, to a port that hands them
to its stack or to one whose XDP program counts and drops them. Frames are those that the receiving
port counts. The cost is processor time of the whole machine, less what it used just before, so that
nothing is hidden in an interrupt or a kernel thread. On a machine that does other work that means
nothing; so beside it is the program's own user and system time, interrupts included, with that of
the kernel's threads that take packets over when there are many (ksoftirqd).
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fieldlab import End, Lab, ft_generate, lab, tool

from capture_core.bench import measuring

ROUNDS = 5
FRAMES = 1_000_000
REPLAY_FRAMES = 50_000
LOOPS = FRAMES // REPLAY_FRAMES
FCS_BYTES = 4
BASELINE_S = 1.0
"""How long the machine is watched before each program, for what it does besides."""

QUIET = 0.1
"""Processors that may be busy beforehand, for the machine's time to mean anything."""

HEADERS = bytes.fromhex(
    "0200c61300010200c61200010800"  # Ethernet
    "4500002e00004000401100000000000000000000"  # IPv4; nobody reads it
)
COUNT_AND_DROP = b"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int drop(struct xdp_md *context)
{
	return XDP_DROP;
}
char permission[] SEC("license") = "GPL";
"""
"""The port counts; a program that drops is what a receiver that does not matter looks like."""

GOALS = (
    ("afxdp", "trafgen", "stack", 1.4),
    ("afxdp", "tcpreplay", "stack", 1.7),
    ("live", "trafgen", "xdp", 2.8),
)
"""A back end, the peer it is measured against, what receives, and by how much it shall lead."""


@dataclass(frozen=True)
class Job:
    """One program that sends `FRAMES` frames in its own way, from a port to its peer."""

    program: str
    size_bytes: int
    receiver: str
    argv: Callable[[str], list[str]]
    """From a port's name to a command line."""


@dataclass(frozen=True)
class Sample:
    """One run: frames at the receiver, and the seconds of processor that they took."""

    received: int
    machine_s: float
    program_s: float
    baseline: float
    """What the machine used beforehand, in processors."""


@dataclass(frozen=True)
class Cost:
    """The medians of a job's rounds; millions of frames a processor second."""

    program: str
    size_bytes: int
    receiver: str
    received: int
    per_machine_s: float
    per_program_s: float
    baseline: float

    @property
    def is_quiet(self) -> bool:
        """Whether the machine's time was this job's."""
        return self.baseline <= QUIET


def run() -> list[Cost]:
    """Run every job `ROUNDS` times, in turn. Raises `LabError` where a peer is missing."""
    with tempfile.TemporaryDirectory() as name, lab() as link:
        folder = Path(name)
        jobs = list(_jobs(folder))
        samples: list[list[Sample]] = [[] for _ in jobs]
        program = _compile(folder)
        for _ in range(ROUNDS):
            for job, seen in zip(jobs, samples, strict=True):
                with _receiver(link, job.receiver, program):
                    seen.append(_measure(link, job))
    return [_sum_up(job, seen) for job, seen in zip(jobs, samples, strict=True)]


def main() -> None:
    """Print the table, and the ratios that matter."""
    costs = run()
    columns = ["frame", "receiver", "program", "received", "M frames/machine s"]
    columns += ["M frames/own s", "busy before"]
    rows = [
        (
            f"{cost.size_bytes} B",
            cost.receiver,
            cost.program,
            cost.received,
            f"{cost.per_machine_s:.2f}" if cost.is_quiet else "-",
            f"{cost.per_program_s:.2f}",
            f"{cost.baseline:.2f}",
        )
        for cost in costs
    ]
    measuring.print_table(columns, rows)
    sys.stdout.write("\n")
    measuring.print_table(
        ("64 B frames", "goal", "by the machine's time", "by the program's own"),
        list(_ratios(costs)),
    )
    if not all(cost.is_quiet for cost in costs):
        sys.stdout.write("\nthe machine did other work: only the program's own time tells\n")


def _ratios(costs: list[Cost]) -> Iterator[tuple[str, ...]]:
    """Ours in the units of the peer, which sends to the stack: that is its best case."""
    smallest = {(cost.program, cost.receiver): cost for cost in costs if cost.size_bytes == 64}
    for backend, peer, receiver, goal in GOALS:
        ours, theirs = smallest[f"ft-generate {backend}", receiver], smallest[peer, "stack"]
        machine = ours.per_machine_s / theirs.per_machine_s
        program = ours.per_program_s / theirs.per_program_s
        case = f"{backend} / {peer}, received by {receiver}"
        quiet = ours.is_quiet and theirs.is_quiet
        yield case, f"{goal:.1f}", f"{machine:.2f}" if quiet else "-", f"{program:.2f}"


def _jobs(folder: Path) -> Iterator[Job]:
    for size in (64, 1518):
        path = folder / f"replay-{size}.pcap"
        _write_capture(path, size)
        yield Job("trafgen", size, "stack", _trafgen(folder, size))
        yield Job("tcpreplay", size, "stack", _tcpreplay(path))
        for backend in ("afpacket", "afxdp"):
            yield Job(f"ft-generate {backend}", size, "stack", _ours(backend, size))
        yield Job("trafgen", size, "xdp", _trafgen(folder, size))
        for backend in ("afxdp", "live"):
            yield Job(f"ft-generate {backend}", size, "xdp", _ours(backend, size))


def _ours(backend: str, size_bytes: int) -> Callable[[str], list[str]]:
    options = ("--size", str(size_bytes), "--count", str(FRAMES))
    return lambda port: ft_generate("-o", f"{backend}:{port}", *options)


def _trafgen(folder: Path, size_bytes: int) -> Callable[[str], list[str]]:
    """On one processor and through the queue; it leaves the machine's settings alone."""
    config = folder / f"trafgen-{size_bytes}.cfg"
    octets = ", ".join(f"0x{octet:02x}" for octet in HEADERS)
    fill = size_bytes - FCS_BYTES - len(HEADERS)
    config.write_text(f"{{ {octets}, fill(0x00, {fill}) }}\n")
    options = ["--conf", str(config), "--num", str(FRAMES), "--cpus", "1"]
    options += ["--no-sock-mem", "--notouch-irq", "--qdisc-path"]
    return lambda port: [tool("trafgen"), "--dev", port, *options]


def _tcpreplay(path: Path) -> Callable[[str], list[str]]:
    """At top speed, from memory."""
    options = ["-q", "-t", "-K", "--loop", str(LOOPS)]
    return lambda port: [tool("tcpreplay"), *options, "-i", port, str(path)]


def _write_capture(path: Path, size_bytes: int) -> None:
    frame = HEADERS.ljust(size_bytes - FCS_BYTES, b"\0")
    header = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    with path.open("wb") as file:
        file.write(header)
        for number in range(REPLAY_FRAMES):
            file.write(struct.pack("<IIII", 1, number, len(frame), len(frame)) + frame)


def _compile(folder: Path) -> Path:
    program = folder / "drop.o"
    compiler = [
        tool("clang"),
        "-target",
        "bpf",
        "-O2",
        f"-I/usr/include/{os.uname().machine}-linux-gnu",
    ]
    command = [*compiler, "-x", "c", "-c", "-", "-o", str(program)]
    subprocess.run(command, input=COUNT_AND_DROP, check=True)
    return program


@contextmanager
def _receiver(link: Lab, kind: str, program: Path) -> Iterator[None]:
    set_link = (tool("ip"), "link", "set", "dev", link.right.port)
    if kind == "xdp":
        link.right.run(*set_link, "xdpdrv", "obj", program, "sec", "xdp")
    try:
        yield
    finally:
        if kind == "xdp":
            link.right.run(*set_link, "xdpdrv", "off")


def _measure(link: Lab, job: Job) -> Sample:
    busy_s, began = _machine_busy_s(), time.monotonic()
    time.sleep(BASELINE_S)
    baseline = (_machine_busy_s() - busy_s) / (time.monotonic() - began)
    before = _frames_received(link.right)
    busy_s, softirq_s = _machine_busy_s(), _softirq_threads_s()
    spent = measuring.timed(link.left.command(*job.argv(link.left.port)))
    machine_s = _machine_busy_s() - busy_s - baseline * spent.wall_s
    program_s = spent.cpu_s + _softirq_threads_s() - softirq_s
    received = _frames_received(link.right) - before
    return Sample(received, max(machine_s, 0.01), program_s, baseline)


def _machine_busy_s() -> float:
    """All processors' time but for idling and waiting (proc_stat(5)), interrupts included."""
    ticks = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    user, nice, system, _, _, irq, softirq = map(int, ticks)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _softirq_threads_s() -> float:
    """What the kernel's threads for work of interrupts have used (proc_pid_stat(5))."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = path.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended
            continue
        if name.startswith("ksoftirqd"):
            ticks += sum(map(int, fields.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _frames_received(end: End) -> int:
    shown = end.run(tool("ip"), "-json", "-stats", "link", "show", "dev", end.port).stdout
    return int(json.loads(shown)[0]["stats64"]["rx"]["packets"])


def _sum_up(job: Job, seen: list[Sample]) -> Cost:
    return Cost(
        job.program,
        job.size_bytes,
        job.receiver,
        round(measuring.median([sample.received for sample in seen])),
        measuring.median([sample.received / sample.machine_s / 1e6 for sample in seen]),
        measuring.median([sample.received / sample.program_s / 1e6 for sample in seen]),
        measuring.median([sample.baseline for sample in seen]),
    )


if __name__ == "__main__":
    main()
