"""Trials by the engine: one ft-generate a direction, started, watched and read.

Whatever an engine leaves unsaid makes its trial invalid: a report that is missing, frames that were
not sent, a run that does not end.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path

from fieldtap_core import reports, rundirs, start
from fieldtap_core.control import Control
from fieldtap_core.errors import EngineError, EngineGoneError, StartError
from fieldtap_core.messages import GenerateStatus, Received, Status
from fieldtap_core.programs import find_program
from fieldtap_core.reports import GenerateReport, StreamRecord
from fieldtap_core.start import Started
from msgspec import structs

from fieldtap.failures import BAD_USAGE
from fieldtap.linktest import stream_file
from fieldtap.linktest.trial import (
    Direction,
    Flow,
    FlowResult,
    Snapshot,
    Trial,
    TrialInterrupted,
    TrialResult,
    Watch,
)

LOOK_INTERVAL_S = 0.05
PROBE_FRAMES = 3
PROBE_PPS = 100.0
OVERTIME_S = 60.0
"""An engine counts, confirms and drains after it has sent; one that takes this long hangs."""

ROUNDING = 1e-3
"""Of a frame: rates are given to the engine in thousandths of a frame a second."""

SHORTFALL_S = 10e-6
"""So much of a rate may be missing at the end, as CSIT has it; more makes a trial invalid."""


@dataclass
class _Run:
    """One engine of a trial. `started` is None until it is, `problem` what spoiled it."""

    direction: Direction
    flows: tuple[Flow, ...]
    name: str
    started: Started | None = None
    last: Status | None = None
    ended: bool = False
    problem: str | None = None
    report: GenerateReport | None = None


@dataclass
class EngineTester:
    """Runs trials between ports `a` and `b` of this machine.

    `forced` are ports that the engine is to use though it would refuse them.
    """

    a: str
    b: str
    forced: tuple[str, ...] = ()
    _trials: int = field(default=0, init=False)
    _backends: dict[tuple[str, int], str] = field(default_factory=dict, init=False)

    @cached_property
    def _program(self) -> Path:
        return find_program("ft-generate")

    def run(self, trial: Trial, watch: Watch) -> TrialResult:
        """Run the engines of `trial` to their ends; see `Tester`."""
        self._choose_backends(trial)
        self._trials += 1
        began_ns = time.time_ns()
        runs = self._runs(trial)
        interrupted = False
        try:
            for run in runs:
                self._start(run, trial)
                if run.problem is not None:
                    break
            else:
                _watch(runs, trial, watch)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            with _uninterrupted():
                for run in runs:
                    _stop(run)
                    _read(run)
        self._keep_backends(runs)
        result = _result(trial, runs, began_ns)
        if interrupted:
            raise TrialInterrupted(result)
        return result

    def _choose_backends(self, trial: Trial) -> None:
        """Let the engine choose how to send each size at a rate, before it is sent at top speed.

        Some back ends only know top speed: what one of those floods is nothing to measure by.
        """
        for flow in trial.flows:
            if flow.rate_pps is None and (self._ports(flow.direction)[0], flow.frame_bytes) not in (
                self._backends
            ):
                slow = structs.replace(flow, rate_pps=PROBE_PPS, count=PROBE_FRAMES)
                self.run(Trial(purpose="probe", flows=(slow,), duration_s=None), lambda _: None)

    def _keep_backends(self, runs: Sequence[_Run]) -> None:
        """Note how sizes were sent, so that all trials of a test are sent alike."""
        for run in runs:
            if run.report is not None and all(flow.rate_pps for flow in run.flows):
                port = self._ports(run.direction)[0]
                for flow in run.flows:
                    self._backends[port, flow.frame_bytes] = run.report.tx.backend

    def _ports(self, direction: Direction) -> tuple[str, str]:
        """Return where frames of that direction go out and come in."""
        return (self.a, self.b) if direction == "a-b" else (self.b, self.a)

    def _output(self, run: _Run) -> str:
        """Return the port to send by, with its back end where all sizes were sent by one."""
        port = self._ports(run.direction)[0]
        known = {self._backends.get((port, flow.frame_bytes)) for flow in run.flows}
        backend = known.pop() if len(known) == 1 else None
        return port if backend is None else f"{backend}:{port}"

    def _runs(self, trial: Trial) -> list[_Run]:
        directions: tuple[Direction, ...] = ("a-b", "b-a")
        by_direction = {
            direction: tuple(flow for flow in trial.flows if flow.direction == direction)
            for direction in directions
        }
        return [
            _Run(direction, flows, f"linktest-{os.getpid()}-{self._trials}-{direction}")
            for direction, flows in by_direction.items()
            if flows
        ]

    def _start(self, run: _Run, trial: Trial) -> None:
        options = ["-q", "-o", self._output(run), "-r", self._ports(run.direction)[1]]
        if self._ports(run.direction)[0] in self.forced:
            options += ["--force", self._ports(run.direction)[0]]
        streams: Path | None = None
        if stream_file.is_plain(run.flows):
            options += _plain_options(run.flows[0])
        else:
            streams = rundirs.for_new_engine() / f"{run.name}.toml"
            streams.write_text(stream_file.render(run.flows))
            options += ["--streams", os.fspath(streams)]
        if trial.duration_s is not None:
            options += ["--duration", f"{trial.duration_s:.6f}"]
        try:
            with _uninterrupted():
                run.started = start.start(self._program, run.name, options)
                run.last = run.started.status
                run.ended = run.last is None
        except StartError as error:
            _clear_start(run.name)
            if error.exit_code == BAD_USAGE:
                raise
            run.problem = str(error)
            return
        finally:
            if streams is not None:
                streams.unlink(missing_ok=True)


def _clear_start(name: str) -> None:
    """Take away what an engine leaves that did not start; its last words are in the error."""
    for suffix in (".log", ".report.json"):
        (rundirs.for_new_engine() / f"{name}{suffix}").unlink(missing_ok=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back: an engine that is just starting or ending could not be told to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        raise KeyboardInterrupt


def _plain_options(flow: Flow) -> list[str]:
    options = ["--size", str(flow.frame_bytes), "--rate", stream_file.rate_word(flow.rate_pps)]
    return options if flow.count is None else [*options, "--count", str(flow.count)]


def _expected_s(trial: Trial) -> float:
    """How long the flows are sent; a burst at top speed is short."""
    if trial.duration_s is not None:
        return trial.duration_s
    return max((flow.count or 0) / flow.rate_pps if flow.rate_pps else 0.0 for flow in trial.flows)


def _watch(runs: Sequence[_Run], trial: Trial, watch: Watch) -> None:
    """Ask the engines how they get on until all have ended, or one hangs."""
    deadline = time.monotonic() + _expected_s(trial) + OVERTIME_S
    while not all(run.ended for run in runs):
        for run in runs:
            _look(run)
        said = [run.last for run in runs if isinstance(run.last, GenerateStatus)]
        if said:
            watch(_snapshot(said))
        if time.monotonic() > deadline:
            for run in runs:
                run.problem = run.problem or (None if run.ended else "it did not end in time")
            return
        time.sleep(LOOK_INTERVAL_S)


def _look(run: _Run) -> None:
    if run.ended or run.started is None:
        return
    try:
        with Control(_socket(run.started)) as control:
            run.last = control.status()
    except EngineGoneError:
        run.ended = True
    except EngineError:
        return  # one that only is slow to answer may still end well


def _snapshot(said: Sequence[GenerateStatus]) -> Snapshot:
    received = [status.rx for status in said if status.rx is not None]
    return Snapshot(
        at_ns=max(status.now_ns for status in said),
        sent=sum(status.tx.frames for status in said),
        received=sum(rx.frames for rx in received),
        lost=sum(rx.lost for rx in received),
    )


def _socket(started: Started) -> Path:
    return started.report.parent / started.name / rundirs.SOCKET_NAME


def _stop(run: _Run) -> None:
    """End an engine that still runs, and wait until it has written its report."""
    if run.started is None or run.last is None:
        return
    with suppress(EngineError):
        try:
            with Control(_socket(run.started)) as control:
                if not run.ended:
                    control.stop()
                control.wait_for_end(run.last)
        except EngineGoneError:
            _wait_for_exit(run.last.pid)


def _wait_for_exit(pid: int) -> None:
    """Wait for a child whose socket has gone already."""
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _read(run: _Run) -> None:
    """Take what the engine left, and clear it away."""
    if run.started is None:
        return
    try:
        run.report = reports.read_generate_report(run.started.report)
    except EngineError:
        run.problem = run.problem or "the engine ended without a report"
    run.started.report.unlink(missing_ok=True)
    run.started.log.unlink(missing_ok=True)


def _result(trial: Trial, runs: Sequence[_Run], began_ns: int) -> TrialResult:
    problems = [f"{run.direction}: {text}" for run in runs if (text := _problem(run, trial))]
    found = [run.report for run in runs if run.report is not None]
    flows: dict[int, FlowResult] = {}
    for run in runs:
        if run.report is not None:
            flows |= _flow_results(trial, run, run.report)
    complete = len(flows) == len(trial.flows)
    return TrialResult(
        trial=trial,
        started_ns=max((report.started_ns for report in found), default=began_ns),
        stopped_ns=max((report.stopped_ns for report in found), default=time.time_ns()),
        valid=complete and not problems,
        invalid_reason="; ".join(problems) or (None if complete else "a flow was not counted"),
        flows=tuple(flows[index] for index in range(len(trial.flows))) if complete else (),
    )


def _problem(run: _Run, trial: Trial) -> str | None:
    """Why the engine's run proves nothing, by its own word or by its counts."""
    report = run.report
    if run.problem is not None or report is None:
        return run.problem or "it was not started"
    if not report.valid:
        return report.invalid_reason or "the engine says so"
    if report.rx is None:
        return "nothing was received"
    asked = sum(_offered(flow, trial) or 0 for flow in run.flows)
    allowed = sum((flow.rate_pps or 0) * SHORTFALL_S + 1 for flow in run.flows)
    if report.tx.frames < asked - allowed:
        return f"{report.tx.frames:,} of {asked:,} frames were sent"
    return None


def _offered(flow: Flow, trial: Trial) -> int | None:
    """Frames that were asked for, the first of them at once; None at top speed for a time."""
    if flow.count is not None:
        return flow.count
    if flow.rate_pps is None or trial.duration_s is None:
        return None
    return ceil(flow.rate_pps * trial.duration_s - ROUNDING)


def _flow_results(trial: Trial, run: _Run, report: GenerateReport) -> dict[int, FlowResult]:
    """Return the results of the run's flows by their index in the trial; none where they differ."""
    indexes = [i for i, flow in enumerate(trial.flows) if flow.direction == run.direction]
    if report.rx is None:
        return {}
    if len(indexes) == 1:
        return {indexes[0]: _whole(trial, run.flows[0], report, report.rx)}
    streams = [stream for stream in report.streams if stream.lost is not None]
    if len(streams) != len(indexes):
        return {}
    found = {
        index: _of_stream(trial, flow, report, stream)
        for index, flow, stream in zip(indexes, run.flows, streams, strict=True)
    }
    # What only the whole run counts is told once, with its first flow.
    found[indexes[0]] = structs.replace(
        found[indexes[0]],
        receiver_dropped=report.rx.receiver_dropped,
        foreign=report.rx.foreign,
    )
    return found


def _whole(trial: Trial, flow: Flow, report: GenerateReport, rx: Received) -> FlowResult:
    """Return the result of a flow that had its run to itself."""
    return FlowResult(
        offered=_offered(flow, trial) or report.tx.frames,
        sent=report.tx.frames,
        received=rx.frames,
        lost=rx.lost,
        receiver_dropped=rx.receiver_dropped,
        duplicate=rx.duplicate or 0,
        reordered=rx.reordered or 0,
        corrupt=rx.corrupt or 0,
        foreign=rx.foreign,
        sent_pps=report.tx.pps,
        late_max_ns=report.tx.late_max_ns,
        latency_ns=report.latency_ns,
        backend=report.tx.backend,
        mode=report.tx.mode,
    )


def _of_stream(
    trial: Trial, flow: Flow, report: GenerateReport, stream: StreamRecord
) -> FlowResult:
    """Return the result of a flow that was one stream of several."""
    elapsed_s = max(1, report.stopped_ns - report.started_ns) / 1e9
    return FlowResult(
        offered=_offered(flow, trial) or stream.tx,
        sent=stream.tx,
        received=stream.rx or 0,  # null only of unsigned streams
        lost=stream.lost or 0,
        receiver_dropped=0,
        duplicate=stream.duplicate or 0,
        reordered=stream.reordered or 0,
        corrupt=stream.corrupt or 0,
        foreign=0,
        sent_pps=stream.tx / elapsed_s,
        late_max_ns=report.tx.late_max_ns,
        latency_ns=stream.latency_ns,
        backend=report.tx.backend,
        mode=report.tx.mode,
    )
