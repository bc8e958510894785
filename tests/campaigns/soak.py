"""Capture for an hour at a steady rate, with rotation and retention: memory flat, nothing lost.

Each file is read as soon as it is closed, before retention may remove it, so that every frame is
seen: the numbers go on from file to file. Resident memory, open files and the disk's use are
sampled. Memory is flat when the line fitted to the last three quarters of the samples rises by less
than `FLAT_KIB_PER_MIN` a minute; open files are when there are never more than two above what the
first quarter had.

    DURATION_S=3600 python -m campaigns.soak
"""

import hashlib
import json
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from fieldlab import Engine, Json, LabError, ft_capture, lab, running, wait_until

from campaigns.common import Outcome, conclude, repeat, scratch, sending, stop_sending, unaccounted
from campaigns.frames import complaints, only_stream

DURATION_S = 3600
RATE_PPS = 20_000
FILE_S = 5
KEPT_FILES = 12
BLOCKS = 8
FLAT_KIB_PER_MIN = 64.0
SAMPLES = 360


@dataclass
class Follower:
    """Reads each closed file of a folder once, in order."""

    folder: Path
    done: set[str] = field(default_factory=set)
    next_number: int = 0
    wrong: list[str] = field(default_factory=list)

    def follow(self) -> None:
        for path in sorted(self.folder.glob("capture_*.pcapng")):
            if path.name not in self.done:
                self.done.add(path.name)
                self._read(path)

    def _read(self, path: Path) -> None:
        seen = only_stream(path)
        if seen.foreign or seen.gap() is not None:
            self.wrong.append(f"{path.name}: {seen.foreign} foreign frames, {seen.gap()}")
        if seen.numbers:
            if seen.numbers[0] != self.next_number:
                self.wrong.append(
                    f"{path.name}: begins with {seen.numbers[0]}, {self.next_number} is due"
                )
            self.next_number = seen.numbers[-1] + 1


@dataclass(frozen=True)
class Sample:
    """What the engine, with what it started, uses at a time."""

    at_s: float
    memory_kib: int
    open_files: int
    disk_kib: int


def family(pid: int) -> list[int]:
    """The process and all that it started."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def sample(engine: Engine, folder: Path, at_s: float) -> Sample:
    """Look at the engine, and at what is on the disk."""
    memory_kib = open_files = 0
    for pid in family(engine.process.pid):
        status = Path(f"/proc/{pid}/status").read_text()
        memory_kib += int(status.partition("VmRSS:")[2].split()[0])
        open_files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    disk_kib = 0
    for path in folder.iterdir():
        try:
            disk_kib += path.stat().st_blocks // 2
        except FileNotFoundError:
            continue  # expired, or renamed, just now
    return Sample(at_s, memory_kib, open_files, disk_kib)


def judge_samples(samples: list[Sample]) -> Outcome:
    """Memory and open files do not grow."""
    quarter = len(samples) // 4
    first, rest = samples[: quarter + 1], samples[quarter:]
    slope, _ = statistics.linear_regression(
        [sample.at_s / 60 for sample in rest], [sample.memory_kib for sample in rest]
    )
    files, most = (max(sample.open_files for sample in part) for part in (first, rest))
    kept = [
        (slope < FLAT_KIB_PER_MIN, f"memory grows by {slope:.1f} KiB a minute"),
        (most <= files + 2, f"open files grow from {files} to {most}"),
    ]
    figures = {
        "KiB resident at most": max(sample.memory_kib for sample in samples),
        "KiB a minute": round(slope),
        "open files at most": most,
        "KiB on disk at most": max(sample.disk_kib for sample in samples),
    }
    return Outcome([sentence for true, sentence in kept if not true], figures)


def soak(duration_s: float, folder: Path) -> Outcome:
    """Capture for so long; return what it came to."""
    session, samples = folder / "session", list[Sample]()
    follower = Follower(session)
    rules = f"duration:{FILE_S}", f"filesize:{RATE_PPS}", f"files:{KEPT_FILES}"
    with lab() as link:
        port = f"afpacket:{link.right.port},blocks={BLOCKS}"
        options = [word for rule in rules for word in ("-b", rule)]
        # Buffers count as memory once they are touched, which would be whenever the disk lags.
        argv = ft_capture("-i", port, "-w", f"{session}/", "-d", "in", "--prefault", *options)
        with running(link.right, argv) as engine:
            with sending(link.left, "-r", RATE_PPS) as stream:
                begun = time.monotonic()
                period_s = min(10.0, max(duration_s / SAMPLES, 0.5))
                while (at_s := time.monotonic() - begun) < duration_s:
                    samples.append(sample(engine, session, at_s))
                    follower.follow()
                    time.sleep(max(0.0, begun + len(samples) * period_s - time.monotonic()))
                sent = stop_sending(stream)
            wait_until("all is stored", lambda: engine.status()["ports"][0]["stored"] >= sent)
            report = engine.stop()
    follower.follow()
    return judge(follower, samples, sent, report)


def judge(follower: Follower, samples: list[Sample], sent: int, report: Json) -> Outcome:
    """Nothing grew, nothing was lost, and every frame was seen in a file."""
    outcome = judge_samples(samples)
    outcome.wrong += follower.wrong + unaccounted(report, sent)
    outcome.wrong += judge_receipt(follower.folder, report, sent)
    left = sorted(follower.folder.glob("capture_*.pcapng"))
    kept = [
        (report["lost"] == 0, f"{report['lost']} lost"),
        (follower.next_number == sent, f"{follower.next_number} frames seen of {sent}"),
        (len(left) <= KEPT_FILES, f"{len(left)} files are kept"),
    ]
    outcome.wrong += [sentence for true, sentence in kept if not true]
    outcome.wrong += [f"{left[-1].name}: {line}" for line in complaints(left[-1])]
    outcome.figures |= {"frames": sent, "files": len(follower.done), "files kept": len(left)}
    return outcome


def judge_receipt(session: Path, report: Json, sent: int) -> list[str]:
    """The receipt has the report's ledger, the files that are kept, and the sum of the others."""
    receipt = json.loads((session / "receipt.json").read_text())["report"]
    files, expired = receipt["files"], receipt["expired"]
    told = sum(file["packets"] for file in files) + expired["packets"]
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in session.glob("capture_*.pcapng")
    }
    kept = [
        (receipt["ports"] == report["ports"], "the receipt's ledger is not the report's"),
        (told == sent, f"the receipt accounts for {told} frames of {sent}"),
        ({file["path"]: file["sha256"] for file in files} == there, "other files, or digests"),
    ]
    return [sentence for true, sentence in kept if not true]


def main() -> None:
    duration_s = float(os.environ.get("DURATION_S") or DURATION_S)
    print(f"Soak for {duration_s:.0f} s at {RATE_PPS} frames a second", flush=True)

    def turn(_: random.Random) -> Outcome:
        with scratch() as folder:
            (folder / "out").mkdir()
            return soak(duration_s, folder / "out")

    try:
        tally = repeat(f"{duration_s:.0f} s at {RATE_PPS:,} frames/s", turn, 1, 0)
    except LabError as error:
        sys.exit(str(error))
    sys.exit(conclude("soak", [tally]))


if __name__ == "__main__":
    main()
