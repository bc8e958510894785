"""Running a program that writes to an adapter: never killed, never left without a witness.

The program runs in a session of its own under a shell that outlives us: a Ctrl-C does not reach it,
our death does not end it, and its words and exit code go to files. It starts only once its process
number is in the journal, so that a later run can always tell whether it still writes.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.journal import sync_folder
from fieldtap_hardware.programs import environment
from fieldtap_hardware.sysfs import clean_text, read_text

# $0 is the file for the exit code. The words are on the disk before it, since they tell whether a
# program that failed had touched the flash. Without a word on stdin, because whoever started this
# died, nothing is run. Where logind is there, systemd-inhibit keeps the machine awake, its closed
# lid included, until the other end of its pipe is let go; where it is not, nothing is lost.
GATE = """
read -r go || exit 1
exec 3>&1
{
    "$@" </dev/null >&3 3>&-
    code=$?
    sync /dev/fd/3
    echo "$code" >"$0.new" && sync "$0.new" && mv "$0.new" "$0"
} | systemd-inhibit --what=shutdown:sleep:idle:handle-lid-switch --mode=block \
    --who=fieldtap --why="an adapter is being written to" cat >/dev/null 2>&1 3>&-
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_S = 0.1
TAIL_BYTES = 4096
LAST_LINES = 5


class Writer(Struct, frozen=True, kw_only=True):
    """A started writer, as the journal keeps it."""

    session: int  # its first process, which leads a session of that number
    started_ticks: int  # since boot: a number that was given to another process is told by this
    boot_id: str
    log: str
    exit_file: str


class Patience(Struct, frozen=True):
    """When to speak while waiting. Nothing is ever ended."""

    still_s: float = 10
    stuck_s: float = 1200


def start(
    command: Sequence[str],
    log: Path,
    exit_file: Path,
    note: Callable[[Writer], None],
    folder: Path | None = None,
) -> Writer:
    """Start `command` in `folder`, after `note` has put it down. Raises OSError."""
    exit_file.unlink(missing_ok=True)
    with log.open("wb") as output:
        sync_folder(log.parent)
        process = subprocess.Popen(
            ["/bin/sh", "-c", GATE, str(exit_file), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            cwd=folder,
            start_new_session=True,
        )
    writer = Writer(
        session=process.pid,
        started_ticks=_stat(process.pid)[2],
        boot_id=_boot_id(),
        log=str(log),
        exit_file=str(exit_file),
    )
    note(writer)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.close()
    return writer


@contextlib.contextmanager
def deaf() -> Iterator[list[int]]:
    """Do not end when asked to; what was asked is put into the list, for `wait` to answer.

    Not answered by the handler: a word that is being printed cannot be cut into by another.
    """
    heard: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: heard.append(number)) for number in SIGNALS
    }
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait(
    writer: Writer, say: Callable[[str], None], patience: Patience, heard: list[int]
) -> int | None:
    """Wait until no process of the writer is left; its exit code, None where that is not known."""
    began = spoke = time.monotonic()
    told_stuck = False
    while is_alive(writer):
        time.sleep(POLL_S)
        while heard:
            name = signal.Signals(heard.pop(0)).name
            say(f"{name} is ignored until the writer ends: half a firmware is worse than a wait")
        now = time.monotonic()
        if now - began > patience.stuck_s and not told_stuck:
            told_stuck = True
            say(
                f"the writer seems stuck after {now - began:.0f} s, and is left to itself: do not "
                f"switch off, do not unplug, do not kill process {writer.session}"
            )
        elif now - spoke > patience.still_s:
            spoke = now
            say(f"still writing, {now - began:.0f} s: {last_words(writer, 1) or 'no word yet'}")
    return exit_code(writer)


def exit_code(writer: Writer) -> int | None:
    """What the program ended with; 128 and its number where a signal ended it."""
    text = read_text(Path(writer.exit_file))
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None


def is_alive(writer: Writer) -> bool:
    """Does any process of the writer's session live? Its children are asked after too."""
    _reap(writer.session)
    if writer.boot_id != _boot_id():
        return False
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        state, session, started_ticks = _stat(int(folder.name))
        if session != writer.session or state in "ZX":
            continue
        if int(folder.name) != session or started_ticks == writer.started_ticks:
            return True
    return False


def last_words(writer: Writer, lines: int = LAST_LINES) -> str:
    """The end of what the writer printed; of a line that was drawn again the last state."""
    try:
        with Path(writer.log).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            text = clean_text(file.read().replace(b"\r", b"\n"))
    except OSError:
        return ""
    words = [line.strip() for line in text.split("\n") if line.strip()]
    return "; ".join(words[-lines:])


def _stat(pid: int) -> tuple[str, int, int]:
    """State, session and start in ticks of a process (proc(5)); "X", 0, 0 where it is gone."""
    text = read_text(Path(f"/proc/{pid}/stat")) or ""
    fields = text.rpartition(")")[2].split()
    return (fields[0], int(fields[3]), int(fields[19])) if len(fields) > 19 else ("X", 0, 0)


def _reap(pid: int) -> None:
    """Let a child of ours that ended go."""
    with contextlib.suppress(ChildProcessError):  # another run's
        os.waitpid(pid, os.WNOHANG)


def _boot_id() -> str:
    return read_text(Path("/proc/sys/kernel/random/boot_id")) or ""
