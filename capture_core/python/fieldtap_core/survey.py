"""Which engines run now, started by whomever, and which sockets are dead or broken."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fieldtap_core import rundirs
from fieldtap_core.control import Control
from fieldtap_core.errors import EngineError, EngineGoneError
from fieldtap_core.messages import Status


@dataclass(frozen=True)
class Engine:
    """A running engine and what it said when it was found."""

    socket: Path
    status: Status


@dataclass(frozen=True)
class Problem:
    """A socket or directory from which no status could be had, and why."""

    path: Path
    text: str


@dataclass(frozen=True)
class Survey:
    """Everything found in the RUN directories that exist; engines by name."""

    searched: tuple[Path, ...]
    engines: tuple[Engine, ...]
    problems: tuple[Problem, ...]


def look() -> Survey:
    """Ask every control socket for its status; dead sockets are removed and reported.

    Takes at most a few seconds, also where something hangs.
    """
    searched = rundirs.existing()
    sockets: list[Path] = []
    found: list[Engine | Problem] = []
    for run_dir in searched:
        try:
            sockets += sorted(run_dir.glob(f"*/{rundirs.SOCKET_NAME}"))
        except OSError as error:
            found.append(Problem(run_dir, f"cannot be searched: {error.strerror}"))
    if sockets:
        with ThreadPoolExecutor(max_workers=min(16, len(sockets))) as pool:
            found += pool.map(_ask, sockets)
    engines = [entry for entry in found if isinstance(entry, Engine)]
    return Survey(
        searched=tuple(searched),
        engines=tuple(sorted(engines, key=lambda engine: engine.status.name)),
        problems=tuple(entry for entry in found if isinstance(entry, Problem)),
    )


def find(name: str) -> Engine:
    """Return the running engine called `name`. Raises `EngineError`, which names those that run."""
    rundirs.check_name(name)
    for run_dir in rundirs.existing():
        socket = run_dir / name / rundirs.SOCKET_NAME
        if socket.exists():
            with Control(socket) as control:
                return Engine(socket, control.status())
    survey = look()
    running = ", ".join(engine.status.name for engine in survey.engines) or "none"
    where = ", ".join(map(str, survey.searched)) or "no RUN directory exists"
    raise EngineError(f"no engine named {name} runs (running: {running}; searched: {where})")


def _ask(socket: Path) -> Engine | Problem:
    try:
        with Control(socket) as control:
            return Engine(socket, control.status())
    except EngineGoneError:
        return Problem(socket, _clear_away(socket))
    except EngineError as error:
        return Problem(socket, str(error).removeprefix(f"{socket}: "))


def _clear_away(socket: Path) -> str:
    """Remove what a dead engine left, unless a new one is taking its place; say what was done."""
    lock = socket.parent / rundirs.LOCK_NAME
    try:
        with lock.open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
            socket.parent.rmdir()
    except BlockingIOError:
        return "its engine is starting or ending just now"
    except OSError as error:
        return f"its engine is gone, and what it left cannot all be removed: {error.strerror}"
    return "its engine is gone; removed"
