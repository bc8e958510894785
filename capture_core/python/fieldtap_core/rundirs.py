"""The RUN directories, where engines keep their control sockets."""

import os
from pathlib import Path

from fieldtap_core.errors import EngineError

SYSTEM_RUN_DIR = Path("/run/fieldtap")
SOCKET_NAME = "control.sock"
LOCK_NAME = "lock"
"""Held with flock by the engine for as long as it lives."""

NAME_LIMIT_BYTES = 64


def candidates() -> list[Path]:
    """Return every RUN directory there may be, in the order in which engines try them."""
    dirs = [SYSTEM_RUN_DIR]
    if explicit := os.environ.get("FIELDTAP_RUN_DIR"):
        dirs.insert(0, Path(explicit))
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        dirs.append(Path(session) / "fieldtap")
    return dirs


def existing() -> list[Path]:
    """Return the RUN directories that exist; engines are searched in all of them."""
    return [path for path in candidates() if path.is_dir()]


def for_new_engine() -> Path:
    """Return the first RUN directory that can be written, made if need be. Raises `EngineError`."""
    for path in candidates():
        try:
            path.mkdir(mode=0o2775, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK | os.X_OK):
            return path
    tried = ", ".join(map(str, candidates()))
    raise EngineError(
        f"no writable directory for control sockets (tried {tried}): join the group fieldtap, "
        "or set FIELDTAP_RUN_DIR"
    )


def check_name(name: str) -> None:
    """Raise `EngineError` unless `name` can name an engine."""
    fits = 0 < len(name.encode(errors="replace")) <= NAME_LIMIT_BYTES
    if not fits or not name.isprintable() or name[0] in ".-" or "/" in name:
        raise EngineError(
            f"{name!r} cannot name an engine: 1 to {NAME_LIMIT_BYTES} printable characters, "
            "without '/', not beginning with '.' or '-'"
        )
