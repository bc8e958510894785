"""Overloads of each stage: every frame sent is stored or counted where it was lost.

A turn overloads one stage on purpose: the kernel's ring, the blocks between the hot thread and
the writer, a slow disk, a full one. A turn in which that stage dropped nothing does not count. Each
must end balanced, with nothing derived, with as many frames offered as the sender sent, with a wire
that agrees, and with a file that holds what the ledger says was stored.
"""

import itertools
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from fieldlab import END_TIMEOUT_S, Json, Lab, capturing, ft_capture, lab, running

from campaigns.common import Outcome, conclude, repeat, run_campaign, scratch, send, unaccounted
from campaigns.disks import faulty_disk, small_disk
from campaigns.faulty_fs import Faults
from campaigns.frames import complaints, only_stream

MIB = 1 << 20
TURNS = 200
LARGE_BYTES = 1514

Stage = Callable[[random.Random, Lab, Path], Outcome]


def judge(stage: str, sent: int, report: Json, folder: Path | None) -> Outcome:
    """Judge a turn by its report and by the file in `folder`."""
    port = report["ports"][0]
    dropped = port["dropped"]
    outcome = Outcome(unaccounted(report, sent), counts=dropped[stage] > 0)
    outcome.figures = {"sent": sent, "stored": port["stored"]}
    outcome.figures |= {f"dropped.{where}": count for where, count in dropped.items() if count}
    if folder is not None:
        outcome.wrong += judge_file(folder, port["stored"])
    return outcome


def judge_file(folder: Path, stored: int) -> list[str]:
    """The only file holds every stored frame, once, and other programs read it."""
    files = [path for path in folder.glob("*.pcapng*") if ".idx" not in path.suffixes]
    if len(files) != 1:
        return [f"one file is due, there are {sorted(path.name for path in files)}"]
    seen = only_stream(files[0])
    wrong = complaints(files[0])
    if seen.frames != stored or seen.foreign:
        wrong.append(f"{seen.frames} frames in the file, {seen.foreign} foreign, {stored} stored")
    sent_order = list(zip(seen.stamps_ns, seen.numbers, strict=True))
    if any(after <= before for before, after in itertools.pairwise(sent_order)):
        wrong.append("a frame is twice in the file, or before one that was sent earlier")
    return wrong


def overload_kernel_ring(random: random.Random, link: Lab, folder: Path) -> Outcome:
    """A tiny kernel ring, bursts at top speed, and an engine that is stopped in between."""
    buffer = f"{random.choice([64, 128, 256, 512])}KiB"
    keeps = random.random() < 0.5
    output: str | Path = folder / "x.pcapng" if keeps else "null:"
    sent = 0
    with capturing(link.right, output, "-d", "in", "--buffer", buffer) as engine:
        for _ in range(random.randrange(1, 5)):
            stops = random.random() < 0.5
            if stops:
                engine.send_signal(signal.SIGSTOP)
            size = random.choice([60, 60, 590, LARGE_BYTES])
            sent += send(link.left, random.randrange(1000, 60_000), "-s", size)
            if stops:
                engine.send_signal(signal.SIGCONT)
            time.sleep(random.uniform(0, 0.05))
        report = engine.stop()
    return judge("kernel", sent, report, folder if keeps else None)


def overload_slow(
    random: random.Random, link: Lab, folder: Path, blocks: int, faults: Faults, frames: int
) -> Outcome:
    """Send more than `blocks` blocks take while the disk has `faults`; then it recovers."""
    with faulty_disk(folder, Faults()) as disk:
        port = f"afpacket:{link.right.port},blocks={blocks}"
        output = disk.folder / "x.pcapng"
        argv = ft_capture("-i", port, "-w", output, "-d", "in", "--buffer", "32MiB")
        with running(link.right, argv) as engine:
            sent = send(link.left, random.randrange(10, 2000))
            disk.suffer(faults)
            sent += send(link.left, frames, "-s", LARGE_BYTES)
            time.sleep(random.uniform(0, 0.3))
            disk.suffer(Faults())
            sent += send(link.left, random.randrange(1, 2000))
            report = engine.stop()
        return judge("ring", sent, report, disk.folder)


def overload_block_ring(random: random.Random, link: Lab, folder: Path) -> Outcome:
    """Two blocks only, and a disk that stalls."""
    frames = random.randrange(9_000, 20_000)
    return overload_slow(random, link, folder, 2, Faults(stalled=True), frames)


def overload_slow_disk(random: random.Random, link: Lab, folder: Path) -> Outcome:
    """More blocks, and a disk that takes a few megabytes a second."""
    blocks = random.randrange(3, 9)
    faults = Faults(bytes_per_s=random.randrange(1, 10) * 1_000_000)
    frames = random.randrange(blocks * 5_000, blocks * 8_000)
    return overload_slow(random, link, folder, blocks, faults, frames)


def overload_full_disk(random: random.Random, link: Lab, folder: Path) -> Outcome:
    """A small real disk fills up."""
    size_bytes = random.randrange(16, 40) * MIB
    with small_disk(folder, size_bytes) as disk:
        return fill(random, link, disk, size_bytes)


def overload_failing_disk(random: random.Random, link: Lab, folder: Path) -> Outcome:
    """A disk that fails, or is full, after some bytes, which may be within a block."""
    allowed_bytes = random.randrange(MIB // 16, 20 * MIB)
    faults = Faults(allowed_bytes=allowed_bytes, fails=random.random() < 0.5)
    with faulty_disk(folder, faults) as disk:
        return fill(random, link, disk.folder, allowed_bytes)


def fill(random: random.Random, link: Lab, disk: Path, room_bytes: int) -> Outcome:
    """Send more than `disk` takes; the run says so by its exit code."""
    with capturing(link.right, disk / "x.pcapng", "-d", "in") as engine:
        frames = room_bytes // LARGE_BYTES + random.randrange(2000, 10_000)
        sent = send(link.left, frames, "-s", LARGE_BYTES)
        time.sleep(random.uniform(0, 1))
        sent += send(link.left, random.randrange(1, 2000))
        engine.send_signal(signal.SIGINT)
        code = engine.process.wait(END_TIMEOUT_S)
        report = engine.report()
    outcome = judge("disk", sent, report, disk)
    if code != 1 and outcome.counts:
        outcome.wrong.append(f"exit code {code}: {engine.words().strip()}")
    return outcome


STAGES: dict[str, Stage] = {
    "tiny kernel ring": overload_kernel_ring,
    "tiny block ring": overload_block_ring,
    "slow disk": overload_slow_disk,
    "full disk": overload_full_disk,
    "failing disk": overload_failing_disk,
}


def campaign(turns: int, seed: int) -> int:
    """Run `turns` turns, as many of each stage; return the exit code."""
    tallies = []
    for index, (kind, stage) in enumerate(STAGES.items()):
        share = (turns + index) // len(STAGES)

        def turn(random: random.Random, stage: Stage = stage) -> Outcome:
            with scratch() as folder, lab() as link:
                (folder / "out").mkdir()
                return stage(random, link, folder / "out")

        tallies.append(repeat(kind, turn, share, seed))
    return conclude("overloaded stage", tallies)


if __name__ == "__main__":
    run_campaign("Overload each stage", TURNS, campaign)
