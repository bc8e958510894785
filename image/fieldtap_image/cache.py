"""A content-addressed cache: a stage's result, kept under a digest of all that went into it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fieldtap_image import progress
from fieldtap_image.errors import ImageError

KEPT_PER_STAGE = 2


def digest(*parts: str | int | bytes | None) -> str:
    """Hexadecimal SHA-256 over the parts, each with its type and length: no two lists collide."""
    total = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else repr(part).encode()
        total.update(f"{type(part).__name__} {len(raw)}\n".encode())
        total.update(raw)
    return total.hexdigest()


def digest_tree(paths: Iterable[Path]) -> str:
    """Digest of files and folders by relative name, mode, link target and content; not by time."""
    total = hashlib.sha256()
    for top in paths:
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            if "__pycache__" in path.parts or (path.is_dir() and not path.is_symlink()):
                continue
            name = os.fspath(path.relative_to(top.parent))
            total.update(digest(name, path.lstat().st_mode & 0o777).encode())
            if path.is_symlink():
                total.update(digest(os.fspath(path.readlink())).encode())
            else:
                with path.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


@dataclass(frozen=True)
class Cache:
    """A folder of results: STAGE/KEY/, each complete or absent."""

    folder: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the cache for this process; ImageError when another build holds it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise ImageError(
                        f"{self.folder}: another build is using this cache",
                        hint="wait for it, or set FIELDTAP_CACHE",
                    ) from error
                yield
        except OSError as error:
            raise ImageError(
                f"cache {self.folder}: {error.strerror}", hint="set FIELDTAP_CACHE"
            ) from error

    def stage(self, name: str, key: str, text: str, make: Callable[[Path], None]) -> Path:
        """The folder of stage `name` for `key`; `make` fills a fresh one when there is none yet.

        Only a folder that `make` finished gets its final name. The KEPT_PER_STAGE latest stay.
        """
        final = self.folder / name / key[:32]
        if final.is_dir():
            progress.say(name, f"{text}: unchanged")
            os.utime(final)
            return final
        unfinished = self.folder / name / "unfinished"
        remove_tree(unfinished)
        unfinished.mkdir(parents=True)
        with progress.step(name, text):
            make(unfinished)
        unfinished.rename(final)
        self._forget_old(final.parent)
        return final

    def _forget_old(self, stage: Path) -> None:
        entries = sorted(stage.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in entries[KEPT_PER_STAGE:]:
            remove_tree(old)


def remove_tree(path: Path) -> None:
    """Remove a folder, if it is there, unless something is still mounted in it.

    A build that was killed may have left a mount behind; what it shows must not be removed.
    """
    if not path.exists():
        return
    inside = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    still = [point for point in inside if Path(point).is_relative_to(path.resolve())]
    if still:
        raise ImageError(
            f"{still[0]}: still mounted, by a build that was killed",
            hint=f"umount {' '.join(still)}",
        )
    shutil.rmtree(path)
