"""Writing to a stick: what is refused, and that what was written is what the stick holds."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldtap_image.errors import ImageError
from fieldtap_image.flash import Disk, disk_from_lsblk, examine, flash, reason_to_refuse

STICK = Disk(Path("/dev/sdz"), 8 << 30, "Stick", "disk", read_only=False, mount_points=())
NONE: frozenset[Path] = frozenset()


def test_an_unused_disk_that_is_large_enough_is_taken() -> None:
    assert reason_to_refuse(STICK, image_bytes=1 << 30, own=NONE) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mount_points": ("/media/stick",)}, "is in use at /media/stick"),
        ({"mount_points": ("[SWAP]",)}, "is in use at [SWAP]"),
        ({"kind": "part"}, "is a part, not a whole disk"),
        ({"read_only": True}, "is write-protected"),
        ({"size_bytes": 1 << 20}, "has 1 MiB, too small for an image of 1024 MiB"),
    ],
)
def test_a_disk_that_must_not_be_written_is_refused(change: dict[str, object], reason: str) -> None:
    disk = dataclasses.replace(STICK, **change)  # type: ignore[arg-type]
    assert reason_to_refuse(disk, image_bytes=1 << 30, own=NONE) == reason


def test_the_disk_of_this_machine_is_refused_even_where_nothing_shows_as_mounted() -> None:
    reason = reason_to_refuse(STICK, image_bytes=1, own=frozenset({STICK.path}))
    assert reason == "holds this machine's own system"


def test_a_mount_deep_in_a_stack_of_devices_is_seen() -> None:
    leaf = {"path": "/dev/mapper/x", "mountpoints": ["/data"]}
    part = {"path": "/dev/sdz1", "mountpoints": [None], "children": [leaf]}
    top = {"path": "/dev/sdz", "size": 5, "model": None, "type": "disk", "ro": False}
    disk = disk_from_lsblk({"blockdevices": [{**top, "mountpoints": [None], "children": [part]}]})
    assert disk.mount_points == ("/data",)
    assert disk.model == "no model name"


def test_a_plain_file_is_no_stick(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with pytest.raises(ImageError, match="is not a block device"):
        examine(file)


def test_an_absent_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="absent: No such file"):
        examine(tmp_path / "absent")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "fieldtap.raw"
    path.write_bytes(os.urandom(5 << 20) + bytes(1 << 20))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  fieldtap.raw\n")
    return path


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """A loop device: a real block device that is nobody's."""
    if os.geteuid() != 0:
        pytest.skip("loop devices need root")
    backing = tmp_path / "backing"
    with backing.open("wb") as file:
        file.truncate(16 << 20)
    attach = subprocess.run(
        ["losetup", "--find", "--show", backing], capture_output=True, text=True, check=False
    )
    if attach.returncode != 0:
        pytest.skip(f"no loop device here: {attach.stderr.strip()}")
    device = Path(attach.stdout.strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.mark.root
def test_the_stick_holds_the_image_afterwards(image: Path, stick: Path) -> None:
    flash(image, stick, ask=lambda question: os.fspath(stick))
    content = image.read_bytes()
    assert stick.open("rb").read(len(content)) == content


@pytest.mark.root
def test_nothing_is_written_unless_the_name_is_typed(image: Path, stick: Path) -> None:
    with pytest.raises(ImageError, match="nothing was written"):
        flash(image, stick, ask=lambda question: "yes")
    assert not any(stick.open("rb").read(1 << 20))


@pytest.mark.root
def test_an_image_that_differs_from_its_digest_is_reported(image: Path, stick: Path) -> None:
    with image.open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(ImageError, match="differs from its SHA256SUMS"):
        flash(image, stick, ask=lambda question: os.fspath(stick))
