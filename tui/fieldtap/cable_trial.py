"""Floods over a cable between two ports of this machine: what do its links carry?

Which ports are joined is found out by sending some frames, so whoever calls this must know that the
ports lead to no network in use; those that the host itself uses are left out. A trial is one short
run of ft-generate.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fieldtap_core import reports
from fieldtap_core.errors import EngineError
from fieldtap_core.programs import find_program
from fieldtap_core.reports import GenerateReport
from fieldtap_hardware.budget import LARGE_FRAME_BYTES, SMALL_FRAME_BYTES
from fieldtap_hardware.loops import LoopRun
from fieldtap_hardware.ports import Port

MOST_PORTS = 8  # each pair of them is probed in both directions
PROBE = ("--size", "64", "--count", "200", "--rate", "1000pps")
TRIAL_S = 2
MOST_TRIALS = 6
STEP = 0.9  # of what arrived, for the next trial
RUN_TIMEOUT_S = 60


def measure(ports: Sequence[Port], say: Callable[[str], None]) -> tuple[LoopRun, ...]:
    """Flood every pair of `ports` that a cable joins, both ways; empty where none is joined."""
    free = []
    for port in ports:
        if (why := _why_not(port)) is None:
            free.append(port)
        else:
            say(f"leaving out {port.name}: {why}")
    runs = []
    for sender, receiver in _joined(free[:MOST_PORTS], say):
        for frame_bytes in (SMALL_FRAME_BYTES, LARGE_FRAME_BYTES):
            say(f"flooding {receiver} from {sender} with {frame_bytes}-byte frames")
            runs.append(_flood(sender, receiver, frame_bytes))
    return tuple(runs)


def _why_not(port: Port) -> str | None:
    """Why a flood from the port could harm more than the tap, or could not be sent."""
    if not (port.up and port.carrier):
        return "it has no link"
    if port.default_route or port.master or port.stacked:
        return "the host uses it"
    if port.addresses:
        return f"the host has an address on it, {port.addresses[0]}"
    return None


def _joined(ports: Sequence[Port], say: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    for sender in ports:
        for receiver in ports:
            if sender is not receiver:
                say(f"probing for a cable from {sender.name} to {receiver.name}")
                report = _generate(sender.name, receiver.name, PROBE)
                if report is not None and report.rx is not None and report.rx.frames:
                    yield sender.name, receiver.name


def _flood(sender: str, receiver: str, frame_bytes: int) -> LoopRun:
    """Top speed first, then ever less of what arrived, until nothing is lost."""
    tried: list[float] = []
    lossless_pps: float | None = None
    rate = "max"
    while lossless_pps is None and len(tried) < MOST_TRIALS:
        options = ("--size", str(frame_bytes), "--duration", str(TRIAL_S), "--rate", rate)
        report = _generate(sender, receiver, options)
        if report is None or report.rx is None or not report.rx.frames:
            break
        tried.append(report.tx.pps)
        # What the receiving program could not take had crossed every link all the same.
        crossed = report.rx.frames + report.rx.receiver_dropped
        arrived = min(1.0, crossed / report.tx.frames) if report.tx.frames else 0.0
        if report.rx.lost == 0:
            lossless_pps = report.tx.pps
        rate = f"{max(1, int(STEP * arrived * report.tx.pps))}pps"
    return LoopRun(
        sender=sender,
        receiver=receiver,
        frame_bytes=frame_bytes,
        lossless_pps=lossless_pps,
        tried_pps=tuple(tried),
        seconds=TRIAL_S,
    )


def _generate(sender: str, receiver: str, options: Sequence[str]) -> GenerateReport | None:
    """One run; None where the ports could not be opened or nothing could be sent."""
    with tempfile.TemporaryDirectory(prefix="fieldtap-") as folder:
        report = Path(folder) / "report.json"
        program = find_program("ft-generate")
        ends = ("-o", sender, "-r", receiver)
        command: list[str | Path] = [program, "-q", *ends, *options, "--report", report]
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=RUN_TIMEOUT_S,
                check=False,
            )
            return reports.read_generate_report(report)
        except (EngineError, subprocess.TimeoutExpired):
            return None
