"""The command layer for engines: start them detached, find, stop and read them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fieldtap_core import reports, survey
from fieldtap_core.control import Control
from fieldtap_core.errors import EngineError, RefusedError
from fieldtap_core.messages import CaptureStatus, Pace, Status
from fieldtap_core.programs import find_program
from fieldtap_core.reports import CaptureReport
from fieldtap_core.start import Started, start
from fieldtap_core.survey import Engine, Survey

from fieldtap.failures import BAD_USAGE, FAILED, CommandError

PARTIAL_SUFFIX = ".partial"
KEEP_SUFFIX = ".keep"
OWN_OPTIONS = ("--name", "--help", "--version", "--man")


@dataclass(frozen=True)
class Stopped:
    """An engine that was asked to stop and has ended. `report` is None where it left none."""

    last: Status
    report: CaptureReport | None


def start_capture(name: str, options: Sequence[str]) -> Started:
    """Start ft-capture as `name`; it outlives us. Raises `CommandError` or `EngineError`."""
    for option in options:
        if option.partition("=")[0] in OWN_OPTIONS:
            raise CommandError(f"{option} does not go with capture start", BAD_USAGE)
    if "-w-" in options or any(pair == ("-w", "-") for pair in pairwise(options)):
        text = "-w -: a capture that outlives this terminal has no stdout; use ft-capture itself"
        raise CommandError(text, BAD_USAGE)
    return start(find_program("ft-capture"), name, options)


def stop(name: str) -> Stopped:
    """Stop the engine called `name` and wait until its files are complete."""
    engine = survey.find(name)
    with Control(engine.socket) as control:
        control.stop()
        last = control.wait_for_end(engine.status)
    return Stopped(last, report_of(last))


def rotate(name: str) -> None:
    """Let the capture called `name` go on in a new file."""
    with Control(survey.find(name).socket) as control:
        control.rotate()


def change_rate(name: str, change: str) -> Pace:
    """Let the generator called `name` go on at another rate.

    `change` is a rate as --rate takes it, a speed such as "2x", "pause" or "resume".
    """
    with Control(survey.find(name).socket) as control:
        try:
            return _change_rate(control, change)
        except RefusedError as error:
            raise CommandError(str(error), BAD_USAGE if error.is_usage else FAILED) from None


def _change_rate(control: Control, change: str) -> Pace:
    if change == "pause":
        return control.pause()
    if change == "resume":
        return control.resume()
    if change.endswith("x") and change != "max":
        try:
            speed = float(change.removesuffix("x"))
        except ValueError:
            raise CommandError(f"{change} is not a speed: 0.5x, 2x", BAD_USAGE) from None
        return control.set_speed(speed)
    return control.set_rate(change)


def keep(files: Sequence[Path]) -> None:
    """Mark complete captures, so that no ring expires them. Raises `CommandError`."""
    for file in files:
        if not file.is_file():
            raise CommandError(f"{file}: there is no such file", BAD_USAGE)
        if file.suffix == PARTIAL_SUFFIX:
            raise CommandError(f"{file} is still written; keep it when it is complete", BAD_USAGE)
    for file in files:
        try:
            Path(f"{file}{KEEP_SUFFIX}").touch()
        except OSError as error:
            raise CommandError(f"cannot mark {file}: {error.strerror}") from None


def look() -> Survey:
    """Find every running engine, whoever started it."""
    return survey.look()


def find(name: str) -> Engine:
    """Return the running engine called `name`. Raises `EngineError`."""
    return survey.find(name)


def mark(engine: Engine, text: str) -> int:
    """Leave a note in a run; returns its time, nanoseconds UTC."""
    with Control(engine.socket) as control:
        return control.mark(text)


def become(name: str, options: Sequence[str]) -> int:
    """Become the engine program `name` with `options`; returns only where it cannot be run."""
    program = find_program(name)
    try:
        os.execv(program, [program.name, *options])  # noqa: S606  its own signals and exit code
    except OSError as error:
        raise CommandError(f"cannot run {program}: {error.strerror}") from None


def report_of(status: Status) -> CaptureReport | None:
    """Return the report of the finished capture that gave `status`; None where it left none."""
    if not isinstance(status, CaptureStatus) or status.report is None:
        return None
    try:
        report = reports.read_capture_report(Path(status.report))
    except EngineError:
        return None
    return report if report.started_ns == status.started_ns else None  # else of an earlier run
