"""Disks for campaigns: a slow, stalling, failing or full one, and a small real one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fieldlab import CHECKOUT, END_TIMEOUT_S, LabError, tool, wait_until

from campaigns.faulty_fs import Faults, control_of


@dataclass(frozen=True)
class FaultyDisk:
    """A mounted `campaigns.faulty_fs`."""

    folder: Path
    control: Path

    def suffer(self, faults: Faults) -> None:
        """Put `faults` in force."""
        faults.write_to(self.control)


@contextmanager
def faulty_disk(scratch: Path, faults: Faults) -> Iterator[FaultyDisk]:
    """Mount a disk with faults, to begin with; its files are kept under `scratch`."""
    if not os.access("/dev/fuse", os.W_OK):
        raise LabError("no /dev/fuse that opens: needs root, and FUSE in the kernel")
    backing, folder = scratch / "backing", scratch / "disk"
    backing.mkdir()
    folder.mkdir()
    disk = FaultyDisk(folder, control_of(backing))
    disk.suffer(faults)
    command = [sys.executable, "-m", "campaigns.faulty_fs", str(backing), str(folder)]
    words = (scratch / "faulty_fs.log").open("wb")
    server = subprocess.Popen(command, cwd=CHECKOUT / "tests", stdout=words, stderr=words)
    try:
        wait_until("the faulty disk is mounted", lambda: _is_up(server, folder))
        yield disk
    finally:
        disk.suffer(Faults())  # so that nothing waits for ever
        subprocess.run([tool("umount"), str(folder)], check=False, capture_output=True)
        try:
            server.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        words.close()


def _is_up(server: "subprocess.Popen[bytes]", folder: Path) -> bool:
    if server.poll() is not None:
        raise LabError("this machine mounts no FUSE file system")
    return folder.is_mount()


def make_ext4(image: Path, size_bytes: int) -> None:
    """Make an image with an empty ext4; no room is kept for root."""
    with image.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run([tool("mkfs.ext4"), "-q", "-m", "0", str(image)], check=True)


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """Mount an image of a file system by a loop device."""
    folder.mkdir(exist_ok=True)
    mount = [tool("mount"), "-o", "loop", str(image), str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"this machine mounts no images: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([tool("umount"), str(folder)], check=True)


@contextmanager
def small_disk(scratch: Path, size_bytes: int) -> Iterator[Path]:
    """A real ext4 of so many bytes, mounted."""
    image = scratch / "small.img"
    make_ext4(image, size_bytes)
    with mounted(image, scratch / "small") as folder:
        yield folder
    image.unlink()
