"""A file system with faults: slow, stalling, failing or full, as its control file says at the time.

    python -m campaigns.faulty_fs BACKING MOUNT_POINT

Files are kept in the folder BACKING. `BACKING.faults` holds the faults, as JSON; it may be
replaced at any time, and each write looks at it anew. Several threads serve, so that a stalled
write does not keep others from asking how full the disk is, as with a real one.
"""

import errno
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import mfusepy

POLL_S = 0.02


@dataclass(frozen=True)
class Faults:
    """What is wrong with the disk now. Zero is nothing, and no limit."""

    bytes_per_s: int = 0
    stalled: bool = False
    """Writes and syncs wait until this is false again."""
    fails: bool = False
    """Writes fail with EIO once `allowed_bytes` have been written, else with ENOSPC."""
    allowed_bytes: int = 0

    def write_to(self, control: Path) -> None:
        """Put these faults in force."""
        new = control.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(control)


class FaultyFs(mfusepy.Operations):  # type: ignore[misc]  # the binding has no types
    """Passes everything on to a folder; writing suffers the faults."""

    use_ns = True

    def __init__(self, backing: Path, control: Path) -> None:
        self._backing = backing
        self._control = control
        self._turn = threading.Lock()
        self._written_bytes = 0
        self._free_at = 0.0

    def _real(self, path: str) -> str:
        return os.fspath(self._backing) + path

    def _faults(self) -> Faults:
        return Faults(**json.loads(self._control.read_text()))

    def _wait_while_stalled(self) -> Faults:
        while (faults := self._faults()).stalled:
            time.sleep(POLL_S)
        return faults

    # What suffers.

    def write(self, _path: str, data: bytes, offset: int, handle: int) -> int:
        """Write what is allowed, at the pace that is allowed; less than asked when full midway."""
        with self._turn:
            faults = self._wait_while_stalled()
            if faults.allowed_bytes:
                room = max(faults.allowed_bytes - self._written_bytes, 0)
                if room == 0:
                    raise mfusepy.FuseOSError(errno.EIO if faults.fails else errno.ENOSPC)
                data = data[:room]
            self._wait_for_pace(len(data))
            self._written_bytes += len(data)
            return os.pwrite(handle, data, offset)

    def _wait_for_pace(self, size_bytes: int) -> None:
        """Keep the pace that is in force, also when it changes while waiting."""
        begun = time.monotonic()
        while rate := self._faults().bytes_per_s:
            left = begun + size_bytes / rate - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, POLL_S))

    def fsync(self, _path: str, _datasync: int, _handle: int) -> int:
        self._wait_while_stalled()
        return 0

    # What does not.

    def getattr(self, path: str, _handle: int | None = None) -> dict[str, int]:
        stat = os.lstat(self._real(path))
        names = "st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_blocks"
        times = {name: getattr(stat, f"{name}_ns") for name in ("st_atime", "st_mtime", "st_ctime")}
        return {name: getattr(stat, name) for name in names} | times

    def statfs(self, path: str) -> dict[str, int]:
        stat = os.statvfs(self._real(path))
        names = "f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree"
        return {name: getattr(stat, name) for name in names} | {"f_namemax": stat.f_namemax}

    def readdir(self, path: str, _handle: int) -> list[str]:
        return [".", "..", *os.listdir(self._real(path))]  # noqa: PTH208

    def create(self, path: str, mode: int, _info: object = None) -> int:
        return os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._real(path), os.O_RDONLY if flags & 3 == os.O_RDONLY else os.O_RDWR)

    def read(self, _path: str, size: int, offset: int, handle: int) -> bytes:
        return os.pread(handle, size, offset)

    def release(self, _path: str, handle: int) -> int:
        os.close(handle)
        return 0

    def truncate(self, path: str, length: int, _handle: int | None = None) -> int:
        os.truncate(self._real(path), length)
        return 0

    def rename(self, old: str, new: str) -> int:
        Path(self._real(old)).rename(self._real(new))
        return 0

    def unlink(self, path: str) -> int:
        Path(self._real(path)).unlink()
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        Path(self._real(path)).mkdir(mode)
        return 0

    def rmdir(self, path: str) -> int:
        Path(self._real(path)).rmdir()
        return 0

    def chmod(self, path: str, mode: int) -> int:
        Path(self._real(path)).chmod(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._real(path), uid, gid)
        return 0

    def utimens(self, path: str, times: tuple[int, int]) -> int:
        os.utime(self._real(path), ns=times)
        return 0


def control_of(backing: Path) -> Path:
    """Where the faults of the disk kept in `backing` are said."""
    return backing.with_suffix(".faults")


def main() -> None:
    backing, mount_point = Path(sys.argv[1]), sys.argv[2]
    operations = FaultyFs(backing, control_of(backing))
    mfusepy.FUSE(operations, mount_point, foreground=True, fsname="faulty")


if __name__ == "__main__":
    main()
