"""Write the image to a stick, and read it back. The wrong disk is somebody's data: refuse first."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fieldtap_image import progress
from fieldtap_image.commands import run
from fieldtap_image.errors import ImageError

CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class Disk:
    """What lsblk says of a disk and all that is on it."""

    path: Path
    size_bytes: int
    model: str
    kind: str
    read_only: bool
    mount_points: tuple[str, ...]
    """Of the disk, its partitions and what is stacked on them, swap included."""


def flash(image: Path, device: Path, ask: Callable[[str], str] = input) -> None:
    """Write `image` to `device` after `ask` returned the device's name, and compare what it holds.

    ImageError when the device is not a stick to be overwritten, or does not keep what was written.
    """
    if not image.is_file():
        raise ImageError(f"{image}: no image to write", hint="make image")
    disk = examine(device)
    if refusal := reason_to_refuse(disk, image_bytes=image.stat().st_size, own=disks_in_use()):
        raise ImageError(f"{device}: {refusal}", hint="lsblk lists the disks; give an unused one")
    question = (
        f"Everything on {disk.path} ({disk.model}, {disk.size_bytes / 1e9:.1f} GB) will be lost.\n"
        f"Type {disk.path} to go on: "
    )
    if ask(question).strip() != os.fspath(disk.path):
        raise ImageError("nothing was written", hint=f"answer {disk.path} to write to it")
    with progress.step("flash", f"write {image.name} to {disk.path}"):
        written = _write(image, disk.path)
    if written != expected_digest(image):
        raise ImageError(f"{image}: differs from its SHA256SUMS", hint="make image, then again")
    with progress.step("flash", f"read {disk.path} back"):
        read = _digest(disk.path, image.stat().st_size)
    if read != written:
        raise ImageError(
            f"{disk.path}: does not hold what was written to it", hint="the stick is defective"
        )


def examine(device: Path) -> Disk:
    """What `device` is; ImageError when it is no block device."""
    try:
        mode = device.stat().st_mode
    except OSError as error:
        raise ImageError(f"{device}: {error.strerror}", hint="lsblk lists the disks") from error
    if not stat.S_ISBLK(mode):
        raise ImageError(f"{device}: is not a block device", hint="lsblk lists the disks")
    columns = "PATH,SIZE,MODEL,TYPE,RO,MOUNTPOINTS"
    listing = run(["lsblk", "--json", "--bytes", "--output", columns, device], timeout_s=30)
    return disk_from_lsblk(json.loads(listing))


def disk_from_lsblk(listing: dict[str, Any]) -> Disk:
    """The one disk of an `lsblk --json` listing."""
    (top,) = listing["blockdevices"]
    return Disk(
        path=Path(top["path"]),
        size_bytes=int(top["size"]),
        model=(top.get("model") or "no model name").strip(),
        kind=top["type"],
        read_only=bool(top["ro"]),
        mount_points=tuple(point for node in _tree(top) for point in node["mountpoints"] if point),
    )


def _tree(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        yield from _tree(child)


def disks_in_use() -> frozenset[Path]:
    """The disks that hold this machine's system and this checkout, as far as /sys tells."""
    found = set()
    for place in ("/", "/usr", "/boot", "/var", os.fspath(Path(__file__).parent)):
        try:
            number = os.stat(place).st_dev  # noqa: PTH116  # not the path but its device matters
        except OSError:
            continue
        node = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        if node.exists():
            found |= {Path("/dev") / disk for disk in _whole_disks(node.resolve())}
    return frozenset(found)


def _whole_disks(node: Path) -> set[str]:
    """Names of the disks under a block device: of a partition its disk, of a stack all below."""
    if (node / "partition").exists():
        return _whole_disks(node.parent)
    below = list((node / "slaves").iterdir()) if (node / "slaves").is_dir() else []
    disks = {name for slave in below for name in _whole_disks(slave.resolve())}
    return disks or {node.name}


def reason_to_refuse(disk: Disk, *, image_bytes: int, own: frozenset[Path]) -> str:
    """Why `disk` must not be written to, or "" when it may."""
    if disk.path in own:
        return "holds this machine's own system"
    if disk.mount_points:
        return f"is in use at {', '.join(disk.mount_points)}"
    if disk.kind not in ("disk", "loop"):
        return f"is a {disk.kind}, not a whole disk"
    if disk.read_only:
        return "is write-protected"
    if disk.size_bytes < image_bytes:
        return f"has {disk.size_bytes >> 20} MiB, too small for an image of {image_bytes >> 20} MiB"
    return ""


def expected_digest(image: Path) -> str:
    """The digest of `image` in the SHA256SUMS beside it."""
    for line in image.with_name("SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        if name == image.name:
            return digest
    raise ImageError(f"{image.with_name('SHA256SUMS')}: does not name {image.name}")


def _write(image: Path, device: Path) -> str:
    """Copy all of `image`, and return the digest of what was read from it."""
    total = hashlib.sha256()
    try:
        # O_EXCL: the kernel itself refuses a device that somebody has begun to use meanwhile.
        target = os.open(device, os.O_WRONLY | os.O_EXCL)
        try:
            with image.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    total.update(chunk)
                    _write_all(target, chunk)
            os.fsync(target)
            # So that reading back asks the device, not our memory.
            os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(target)
    except OSError as error:
        raise ImageError(
            f"{device}: {error.strerror}", hint="the stick may be defective"
        ) from error
    return total.hexdigest()


def _write_all(target: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(target, rest) :]


def _digest(device: Path, size_bytes: int) -> str:
    total = hashlib.sha256()
    left = size_bytes
    with device.open("rb") as source:
        while left and (chunk := source.read(min(CHUNK_BYTES, left))):
            total.update(chunk)
            left -= len(chunk)
    return total.hexdigest()
