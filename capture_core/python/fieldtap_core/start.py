"""Start an engine that outlives its starter: own session, no terminal, stderr to a log file."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fieldtap_core import rundirs
from fieldtap_core.control import Control
from fieldtap_core.errors import EngineError, EngineGoneError, StartError
from fieldtap_core.messages import Status

READY_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.02
NAME_IN_USE_EXIT_CODE = 2


@dataclass(frozen=True)
class Started:
    """An engine that is ready, or (`status` None) that was ready and has already finished.

    `exit_code` is set for the latter: 0, or 3 where frames were lost and that was asked about.
    """

    name: str
    pid: int
    log: Path
    report: Path
    status: Status | None
    exit_code: int | None


def start(program: Path, name: str, options: Sequence[str]) -> Started:
    """Start `program` detached as engine `name`; return once its socket answers.

    Without `--report` among the options, the report goes to RUN/<name>.report.json, which is how
    whoever stops the engine learns its ledger; that of an earlier run of the name is removed, so
    that an engine that is killed leaves none. What the engine says on stderr is in RUN/<name>.log.
    Raises `StartError` with the engine's own last line, or another `EngineError`.
    """
    rundirs.check_name(name)
    run_dir = rundirs.for_new_engine()
    _check_free(name)
    log = run_dir / f"{name}.log"
    command = [os.fspath(program), *options, "--name", name]
    report = _report_option(options)
    if report is None:
        report = run_dir / f"{name}.report.json"
        report.unlink(missing_ok=True)
        command += ["--report", os.fspath(report)]
    environment = os.environ | {"FIELDTAP_RUN_DIR": os.fspath(run_dir)}
    try:
        log_fd = _new_file(log)
    except OSError as error:
        raise EngineError(f"cannot write the engine's log {log}: {error.strerror}") from None
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log_fd,
            stderr=log_fd,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise StartError(f"cannot run {program}: {error.strerror}", 1) from None
    finally:
        os.close(log_fd)
    started = Started(name, process.pid, log, report, status=None, exit_code=None)
    return _wait_until_ready(process, run_dir / name / rundirs.SOCKET_NAME, started)


def _check_free(name: str) -> None:
    """Raise `StartError` where a live engine has the name: its log must not be replaced."""
    for run_dir in rundirs.existing():
        socket = run_dir / name / rundirs.SOCKET_NAME
        if not socket.exists():
            continue
        try:
            Control(socket).close()
        except EngineGoneError:
            continue
        text = f"the name {name} is in use by {socket}: stop it, or choose another name"
        raise StartError(text, NAME_IN_USE_EXIT_CODE)


def _report_option(options: Sequence[str]) -> Path | None:
    """Return where the caller wants the report, from `--report FILE` or `--report=FILE`."""
    for index, option in enumerate(options):
        if option == "--report" and index + 1 < len(options):
            return Path(options[index + 1]).absolute()
        if option.startswith("--report="):
            return Path(option.partition("=")[2]).absolute()
    return None


def _new_file(path: Path) -> int:
    """Open a new file in a directory that a group shares: never through somebody's link."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o664)


def _wait_until_ready(process: subprocess.Popen[bytes], socket: Path, run: Started) -> Started:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        exit_code = process.poll()
        if exit_code in (0, 3):
            return replace(run, exit_code=exit_code)
        if exit_code is not None:
            raise StartError(_last_words(run.log, exit_code), _own_code(exit_code))
        try:
            with Control(socket) as control:
                return replace(run, status=control.status())
        except EngineGoneError:
            time.sleep(POLL_INTERVAL_S)
    process.terminate()
    raise StartError(f"engine {run.name} was not ready within {READY_TIMEOUT_S:.0f} s: stopped", 1)


def _own_code(exit_code: int) -> int:
    """Return the engine's exit code; one that a signal ended has failed while running."""
    return exit_code if exit_code > 0 else 1


def _last_words(log: Path, exit_code: int) -> str:
    """Return the engine's own error line, or what can be said without one."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    if lines:
        return lines[-1]
    ended = f"by signal {-exit_code}" if exit_code < 0 else f"with exit code {exit_code}"
    return f"the engine ended {ended} without a word in {log}"
