"""Directory trees that hold a system: unpack one, run a program in one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fieldtap_image.commands import run

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def unpack(tar: Path, tree: Path) -> None:
    """Unpack a tar of a root file system, with owners, modes and extended attributes."""
    tree.mkdir(parents=True, exist_ok=True)
    run(
        [
            "tar",
            "--extract",
            "--file",
            tar,
            "--directory",
            tree,
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
        ],
        timeout_s=600,
    )


@contextmanager
def mounts(tree: Path, shown: Mapping[Path, str] | None = None) -> Iterator[None]:
    """Have /proc in `tree` while in the block, and each folder of `shown` at its place in it.

    Device nodes need no mount: mmdebstrap makes the few that a tree needs. So nothing of the
    machine can be reached, or removed, through the tree.
    """
    with ExitStack() as undo:
        _mount(undo, ["mount", "-t", "proc", "proc"], tree / "proc")
        for folder, place in (shown or {}).items():
            _mount(undo, ["mount", "--bind", os.fspath(folder)], tree / place.lstrip("/"))
        yield


def _mount(undo: ExitStack, command: Sequence[str], point: Path) -> None:
    point.mkdir(parents=True, exist_ok=True)
    run(
        [*command, point],
        timeout_s=30,
        hint="mounting needs root with CAP_SYS_ADMIN (in a container: --privileged)",
    )
    undo.callback(run, ["umount", point], timeout_s=30)


def run_in(
    tree: Path,
    argv: Sequence[str],
    *,
    timeout_s: float,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program of `tree` in it; its words go to `log`."""
    run(
        ["chroot", tree, *argv],
        timeout_s=timeout_s,
        log=log,
        environment={
            "PATH": PATH,
            "LC_ALL": "C.UTF-8",
            "TMPDIR": "/var/tmp",  # noqa: S108  # the tree's own
            **(environment or {}),
        },
    )
