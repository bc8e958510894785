"""Every check, in one run; the small ones about a single port are made here."""

from collections.abc import Sequence
from pathlib import Path

from fieldtap_hardware.bandwidth import check_pcie
from fieldtap_hardware.clock import ClockReading, check_timestamps, read_clock
from fieldtap_hardware.clock_checks import read_report
from fieldtap_hardware.engine import check_program, read_program
from fieldtap_hardware.ports import Port
from fieldtap_hardware.silence import check_silence
from fieldtap_hardware.storage import check_storage, read_storage
from fieldtap_hardware.verdicts import Check, Evidence, Report, Unreadable, Verdict, worst
from fieldtap_hardware.words import rate_words


def run_checks(ports: Sequence[Port], capture_dir: Path, programs: Sequence[Path] = ()) -> Report:
    """Judge `ports`, the storage under `capture_dir` and the engine's `programs`.

    Port checks are "port.link", "port.speed", "port.timestamps", "port.pcie", "port.silent", their
    subject the port's name; "storage.space" is about the directory, "engine.capabilities" about a
    program, "clock.*" about what keeps time. Ports of one run are judged together: they share PCI
    Express links and the disk. Takes some 20 ms for each adapter clock, and up to three Sync
    intervals for a silent master. Raises nothing for what it finds: that is in the report.
    """
    clocks = {
        index: read_clock(index)
        for index in {port.timestamping.phc_index for port in ports if port.timestamping}
        if index is not None
    }
    checks = [check for port in ports for check in check_port(port, ports, clocks)]
    checks.append(check_storage(capture_dir, read_storage(capture_dir), ports))
    checks += [check_program(path, read_program(path)) for path in programs]
    checks += read_report().checks
    return Report(verdict=worst(check.verdict for check in checks), checks=tuple(checks))


def check_port(
    port: Port, ports: Sequence[Port], clocks: dict[int, ClockReading | Unreadable]
) -> list[Check]:
    """Every check of one port, among the `ports` that capture with it.

    `clocks` are the readings of adapter clocks by index.
    """
    return [
        check_link(port),
        check_speed(port),
        check_timestamps(port, clocks),
        check_pcie(port, ports),
        check_silence(port),
    ]


def check_link(port: Port) -> Check:
    """`ok` with a carrier, `fail` without one or while the port is down."""
    evidence: Evidence = {"up": port.up, "carrier": port.carrier}
    remedy: str | None
    if not port.up:
        verdict, summary = Verdict.FAIL, "is down"
        remedy = f"switch it on: `ip link set dev {port.name} up`"
    elif port.carrier is None:
        verdict, summary, remedy = Verdict.UNKNOWN, "does not say whether it has a carrier", None
    elif port.carrier:
        verdict, summary, remedy = Verdict.OK, "is up and has a carrier", None
    else:
        verdict, summary = Verdict.FAIL, "has no carrier"
        remedy = "check the cable, the transceiver and the other end"
    return Check("port.link", port.name, verdict, summary, evidence, remedy)


def check_speed(port: Port) -> Check:
    """`ok` where the speed is known: percentages of line rate and time left rest on it."""
    evidence: Evidence = {"speed_bps": port.speed_bps}
    if port.speed_bps is not None:
        summary = f"runs at {rate_words(port.speed_bps)}"
        return Check("port.speed", port.name, Verdict.OK, summary, evidence)
    if port.up and port.carrier:
        summary, remedy = (
            "does not tell its speed",
            "give rates in packets or bits a second, not in %",
        )
    else:
        summary, remedy = "has no speed without a link", "see to the link first"
    return Check("port.speed", port.name, Verdict.UNKNOWN, summary, evidence, remedy)
