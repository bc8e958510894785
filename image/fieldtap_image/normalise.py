"""Make a provisioned tree an image's root: nobody's identity, no secrets, nothing that varies.

Every stick starts from the same bytes, so a key or an id in them would be everybody's.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fieldtap_image.errors import ImageError

# Files and folders (globs) that are removed.
LEFTOVERS = (
    "boot/*",
    "etc/*-",
    "etc/.pwd.lock",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_*",
    "initrd.img*",
    "root/.ansible",
    "root/.bash_history",
    "usr/lib/.build-id",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "var/lib/dracut",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
    "vmlinuz*",
)
# Folders (globs) that are emptied.
EMPTIED = ("run", "tmp", "var/cache", "var/lib/apt/lists", "var/log", "var/tmp")
SECONDS_PER_DAY = 86_400


def normalise(tree: Path, *, version: str, source_date_epoch: int) -> None:
    """Normalise `tree` in place; ImageError when an account has a password."""
    remove_leftovers(tree)
    fix_shadow(tree / "etc/shadow", day=source_date_epoch // SECONDS_PER_DAY)
    (tree / "etc/machine-id").write_text(
        ""
    )  # empty: made anew at each boot, and no "first boot" either
    name_image(tree / "usr/lib/os-release", version=version)
    clamp_times(tree, source_date_epoch)


def remove_leftovers(tree: Path) -> None:
    """Remove what installing and provisioning left behind."""
    for pattern in LEFTOVERS:
        for path in sorted(tree.glob(pattern)):
            _remove(path)
    for pattern in EMPTIED:
        for path in sorted(tree.glob(f"{pattern}/*")):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def fix_shadow(shadow: Path, *, day: int) -> None:
    """Set every last-change day to `day`; ImageError for an account that a password could open."""
    lines = []
    for line in shadow.read_text().splitlines():
        fields = line.split(":")
        if not fields[1].startswith(("!", "*")):
            raise ImageError(
                f"etc/shadow: account {fields[0]} is not locked",
                hint="no role may set a password; lock it",
            )
        fields[2] = str(day)
        lines.append(":".join(fields))
    shadow.write_text("\n".join(lines) + "\n")


def name_image(os_release: Path, *, version: str) -> None:
    """Say in os-release which image this is."""
    lines = [line for line in os_release.read_text().splitlines() if not line.startswith("IMAGE_")]
    lines += ["IMAGE_ID=fieldtap", f"IMAGE_VERSION={version}"]
    os_release.write_text("\n".join(lines) + "\n")


def clamp_times(tree: Path, latest_s: int) -> None:
    """Let no file be younger than `latest_s`; what a package brought keeps its own time."""
    for folder, names, files in os.walk(tree, topdown=False):
        for name in (*names, *files, "."):
            path = os.path.join(folder, name)  # noqa: PTH118  # ten thousands of them
            if os.lstat(path).st_mtime > latest_s:
                os.utime(path, (latest_s, latest_s), follow_symlinks=False)
