"""Cut the power of a guest while it captures: what it had for two seconds is on its disk.

The guest's disk loses everything since its last flush, and the harness first shows that it does.
The guest tells on its serial console how many frames it has sent; the time of each such line is
taken here. After the cut the disk is mounted, which replays its journal, and checked; the files are
repaired and judged as after a crash.
"""

import random
import subprocess
import sys
import time
from pathlib import Path

from fieldlab import tool

from campaigns import crash
from campaigns.common import NS_PER_S, Outcome, conclude, repeat, run_campaign, scratch
from campaigns.disks import make_ext4, mounted
from campaigns.guest import Guest, guest, make_initrd
from campaigns.nbd_server import PowerCutDisk

TURNS = 10
DISK_BYTES = 192 << 20
GRACE_S = 2.0
MOST_S = 12.0
PROOF_BYTES = 16 * 65536


def cut(machine: Guest, disk: PowerCutDisk) -> tuple[float, int]:
    """Cut the power; return when, and how many written bytes the disk lost."""
    gone_bytes = disk.cut()
    cut_s = time.monotonic()
    machine.process.kill()
    machine.process.wait()
    return cut_s, gone_bytes


def show_that_unflushed_writes_are_lost(folder: Path, initrd: Path) -> None:
    """A file whose flush was not asked for is gone, one that was flushed is whole, or this ends."""
    image = folder / "proof.img"
    make_ext4(image, DISK_BYTES)
    disk = PowerCutDisk(image, folder / "proof.sock")
    with guest(initrd, folder / "proof.sock", "proof") as machine:
        said = machine.wait_for("WROTE")
        _, gone_bytes = cut(machine, disk)
    disk.close()
    with mounted(image, folder / "proof") as files:
        sizes = {path.name: path.stat().st_size for path in files.iterdir() if path.is_file()}
    image.unlink()
    print(f"harness: {said}; {gone_bytes} written bytes lost; on the disk now: {sizes}", flush=True)
    if sizes.get("flushed") != PROOF_BYTES or sizes.get("unflushed", 0) >= PROOF_BYTES:
        sys.exit("the harness does not lose an unflushed file alone: its cuts would prove nothing")


def cut_once(
    random: random.Random, folder: Path, initrd: Path, *, rotates: bool, most_s: float
) -> Outcome:
    """Boot, capture, cut at a random moment, repair and judge.

    Half of the cuts come at the worst moment: with a flush, so that all that it was for is lost.
    """
    image, path = folder / "disk.img", folder / "disk.sock"
    make_ext4(image, DISK_BYTES)
    disk = PowerCutDisk(image, path)
    with guest(initrd, path, "rotating" if rotates else "one-file") as machine:
        machine.wait_for("sent ")
        time.sleep(random.uniform(0.5, most_s))
        if random.random() < 0.5:
            disk.cut_at_flush(GRACE_S)
        cut_s, gone_bytes = cut(machine, disk)
    disk.close()
    due = machine.sent_by(cut_s - GRACE_S)
    with mounted(image, folder / "disk") as files:
        for torn in sorted(files.glob("*.pcapng.partial")):
            crash.repair_file(torn)
        # The guest's clock is not ours: what it sent cannot be later than all that it sent.
        outcome = crash.judge(crash.kept_files(files), due, sys.maxsize, sys.maxsize - NS_PER_S)
    check = [tool("e2fsck"), "-f", "-n", str(image)]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        outcome.wrong.append(f"e2fsck: {checked.stdout.strip()}")
    outcome.figures["bytes lost by the disk"] = gone_bytes
    outcome.figures.pop("sent")
    return outcome


def campaign(turns: int, seed: int, most_s: float = MOST_S) -> int:
    """Cut `turns` times, half of them with rotation; return the exit code."""
    with scratch() as shared:
        initrd = make_initrd(shared / "initrd")
        show_that_unflushed_writes_are_lost(shared, initrd)
        tallies = []
        for rotates in (False, True):

            def turn(random: random.Random, rotates: bool = rotates) -> Outcome:
                with scratch() as folder:
                    return cut_once(random, folder, initrd, rotates=rotates, most_s=most_s)

            kind = "rotating" if rotates else "one file"
            tallies.append(repeat(f"power cut, {kind}", turn, (turns + rotates) // 2, seed))
        return conclude("power cut", tallies)


if __name__ == "__main__":
    run_campaign("Cut the power of a capturing guest", TURNS, campaign)
