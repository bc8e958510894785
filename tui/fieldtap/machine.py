"""The command layer for the machine: its ports and what to think of it."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from fieldtap_core import survey
from fieldtap_core.errors import EngineError
from fieldtap_core.messages import CaptureStatus
from fieldtap_core.programs import INSTALLED_DIR, find_program
from fieldtap_hardware.adapter_checks import check_catalogue_file
from fieldtap_hardware.bundle import BundleError, read_bundle, write_bundle
from fieldtap_hardware.bypass import Duty
from fieldtap_hardware.checks import judge
from fieldtap_hardware.loops import LoopRun
from fieldtap_hardware.ports import Port, read_ports
from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.raw_evidence import collect
from fieldtap_hardware.readings import Readings, take_readings
from fieldtap_hardware.redact import Redactor
from fieldtap_hardware.verdicts import Report, Unreadable, report_of
from fieldtap_hardware.write_rate import RunningCapture, WriteRun
from msgspec.structs import replace

from fieldtap import cable_trial, disk_trial, measured
from fieldtap.failures import BAD_USAGE, CommandError

APPLIANCE_CAPTURES = Path("/var/lib/fieldtap/captures")
BUNDLE_ENDINGS = (".tar.gz", ".tgz")
COMMON_NAMES = ("fieldtap", "localhost", "root", "debian", "")  # these tell nobody apart
EXPIRING = (b"files:", b"total:", b"free:", b"age:")  # of -b: these remove files


@dataclass(frozen=True)
class Measure:
    """What to measure before judging, and whom to tell how it goes on."""

    write_bytes: int
    say: Callable[[str], None]


def ports(names: Sequence[str] = ()) -> list[Port]:
    """Return the ports called `names`, or all but loopback. Raises `CommandError`."""
    found = {port.name: port for port in read_ports()}
    unknown = [name for name in names if name not in found]
    if unknown:
        there = ", ".join(found) or "none"
        raise CommandError(f"no port is called {unknown[0]!r}; there are: {there}", BAD_USAGE)
    return [found[name] for name in dict.fromkeys(names)] if names else list(found.values())


def worth_checking(found: Sequence[Port]) -> list[Port]:
    """Leave out virtual ports that are down: the kernel keeps some that nobody asked for."""
    return [port for port in found if port.up or not port.virtual]


def capture_dir() -> Path:
    """Return where captures go by default: the appliance's folder where there is one.

    Raises `CommandError` where there is neither that nor a working directory any more.
    """
    if APPLIANCE_CAPTURES.is_dir():
        return APPLIANCE_CAPTURES
    try:
        return Path.cwd()
    except FileNotFoundError:
        text = "the working directory is gone: change to another, or give --dir"
        raise CommandError(text, BAD_USAGE) from None


def check(names: Sequence[str], directory: Path | None) -> Report:
    """Judge the ports called `names` (none: all but idle virtual ones), disk and engine.

    Asks no program but the engine's: for who looks again and again.
    """
    return judge(take(names, directory, ask=None))


def take(
    names: Sequence[str],
    directory: Path | None,
    ask: Ask | None = ask_program,
    measure: Measure | None = None,
) -> Readings:
    """Read the machine, and what was measured on it earlier; with `measure`, measure it first."""
    programs = [_program(name) for name in ("ft-capture", "ft-generate", "ft-reflect")]
    chosen = ports(names) if names else worth_checking(ports())
    folder = directory or capture_dir()
    kept = measured.load()
    loops: tuple[LoopRun, ...] = ()
    run: WriteRun | Unreadable | None = None
    if measure is not None:
        loops = cable_trial.measure(chosen, measure.say) if names else ()
        run = disk_trial.measure(folder, measure.write_bytes, measure.say)
    before = _captures()
    readings = take_readings(chosen, folder, programs, ask=ask)
    kept = measured.with_loops(kept, loops, chosen, readings.tree)
    with contextlib.suppress(OSError):
        name = measured.file_system(folder)
        if isinstance(run, WriteRun):
            kept = replace(kept, writes=kept.writes | {name: run})
        run = run or kept.writes.get(name)
    if measure is not None and measured.save(kept) is None:
        measure.say("no folder to keep the figures in can be written")
    return replace(
        readings,
        loops=loops,
        measured=measured.ceilings_of(kept, chosen, readings.tree),
        write_run=run,
        captures=_rates(before, _captures(), folder),
    )


def save_bundle(path: Path, readings: Readings, duty: Duty) -> None:
    """Write a support bundle. Raises `CommandError`."""
    if not path.name.endswith(BUNDLE_ENDINGS):
        text = f"{path}: a bundle's name ends in {' or '.join(BUNDLE_ENDINGS)}"
        raise CommandError(text, BAD_USAGE)
    users = (os.environ.get(variable, "") for variable in ("USER", "SUDO_USER"))
    names = tuple(name for name in (os.uname().nodename, *users) if name not in COMMON_NAMES)
    try:
        write_bundle(
            path,
            readings,
            collect(readings, ask_program),
            duty,
            version=version("fieldtap"),
            redactor=Redactor(names),
        )
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None


def judge_bundle(path: Path, duty: Duty) -> Report:
    """Judge the machine that a bundle was made on. Raises `CommandError`."""
    try:
        _, readings = read_bundle(path)
    except BundleError as error:
        raise CommandError(f"{path}: {error}", BAD_USAGE) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", BAD_USAGE) from None
    return judge(readings, duty)


def write_file(path: Path, data: bytes) -> None:
    """Write `data`. Raises `CommandError`."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None


def _captures() -> dict[str, CaptureStatus]:
    engines = (engine.status for engine in survey.look().engines)
    return {status.name: status for status in engines if isinstance(status, CaptureStatus)}


def _rates(
    before: Mapping[str, CaptureStatus], after: Mapping[str, CaptureStatus], directory: Path
) -> tuple[RunningCapture, ...]:
    """How fast each capture wrote to the file system of `directory` between two looks."""
    found = []
    for name, now in after.items():
        then = before.get(name)
        if then is None or now.now_ns <= then.now_ns or not _same_disk(now.output, directory):
            continue
        stored = (sum(port.bytes_stored for port in status.ports) for status in (then, now))
        earlier, later = stored
        rate = max(0, later - earlier) / ((now.now_ns - then.now_ns) / 1e9)
        found.append(RunningCapture(name, rate, is_ring=_is_ring(now.pid)))
    return tuple(found)


def _same_disk(output: str, directory: Path) -> bool:
    path = Path(output)
    try:
        folder = path if path.is_dir() else path.parent
        return folder.stat().st_dev == directory.stat().st_dev
    except OSError:
        return False


def _is_ring(pid: int) -> bool:
    """Whether a capture was told to remove its oldest files."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    limits = (after for word, after in pairwise(words) if word == b"-b")
    return any(limit.startswith(EXPIRING) for limit in limits)


def check_catalogue(files: Sequence[Path]) -> Report:
    """Say of each catalogue file whether it can be used."""
    return report_of([check_catalogue_file(file) for file in files])


def _program(name: str) -> Path:
    try:
        return find_program(name)
    except EngineError:
        return INSTALLED_DIR / name  # the check says that it is not there
