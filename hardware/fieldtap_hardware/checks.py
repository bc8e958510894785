"""Every check, in one run; the small ones about a single port are made here."""

from collections.abc import Sequence
from pathlib import Path

from fieldtap_hardware.adapter_checks import check_adapter, check_backends, check_catalogue_file
from fieldtap_hardware.adapters import Identity, identify, read_catalogue
from fieldtap_hardware.bandwidth import NOTHING_MORE, Way, check_pcie
from fieldtap_hardware.clock import ClockReading, check_timestamps, read_clock
from fieldtap_hardware.clock_checks import read_report
from fieldtap_hardware.drops import DropMeter, check_drops
from fieldtap_hardware.engine import check_program, read_program
from fieldtap_hardware.firmware import check_firmware, driver_string
from fieldtap_hardware.optics import check_optics, read_module
from fieldtap_hardware.ports import LIVE, Kernel, Port
from fieldtap_hardware.silence import check_silence
from fieldtap_hardware.storage import check_storage, read_storage
from fieldtap_hardware.thunderbolt import check_enclosure, check_tree, read_tree, tunnels
from fieldtap_hardware.verdicts import Check, Evidence, Report, Unreadable, Verdict, report_of
from fieldtap_hardware.words import rate_words

MANY_DOWNS = 10  # replugging counts too


def run_checks(
    ports: Sequence[Port],
    capture_dir: Path,
    programs: Sequence[Path] = (),
    kernel: Kernel = LIVE,
) -> Report:
    """Judge `ports`, what they are plugged into, the storage and the engine's `programs`.

    docs/checks.md lists every check. Ports of one run are judged together: they share PCI Express
    links and the disk. Takes `drops.INTERVAL_S`, some 20 ms for each adapter clock and each
    transceiver, and up to three Sync intervals for a silent PTP master. Raises nothing for what it
    finds: that is in the report.
    """
    meter = DropMeter(ports, kernel.ask_driver)
    tree, catalogue = read_tree(), read_catalogue()
    way = Way(tunnels=tunnels(ports, tree))
    clocks = {
        index: read_clock(index)
        for index in {port.timestamping.phc_index for port in ports if port.timestamping}
        if index is not None
    }
    checks = [check for port in ports for check in check_port(port, ports, clocks, way)]
    for port in ports:
        identity = identify(port, catalogue.families)
        checks += [check_enclosure(port, tree), *check_hardware(port, identity)]
        checks.append(check_optics(port, read_module(port.name, kernel.ask_driver)))
    drops = meter.read()
    checks += [check_drops(port, drops[port.name]) for port in ports]
    order = [port.name for port in ports]
    checks.sort(key=lambda check: order.index(check.subject))
    checks += check_tree(tree)
    checks += [check_catalogue_file(file) for file in catalogue.unusable]
    checks.append(check_storage(capture_dir, read_storage(capture_dir), ports))
    checks += [check_program(path, read_program(path)) for path in programs]
    checks += read_report().checks
    return report_of(checks)


def check_port(
    port: Port,
    ports: Sequence[Port],
    clocks: dict[int, ClockReading | Unreadable],
    way: Way = NOTHING_MORE,
) -> list[Check]:
    """The checks of what the kernel shows of a port, among the `ports` that capture with it.

    `clocks` are the readings of adapter clocks by index, `way` is what is known beyond PCI.
    """
    return [
        check_link(port),
        check_link_history(port),
        check_speed(port),
        check_timestamps(port, clocks),
        check_pcie(port, ports, way),
        check_silence(port),
    ]


def check_hardware(port: Port, identity: Identity | None) -> list[Check]:
    """The checks of what the catalogue says of the port's adapter."""
    return [
        check_adapter(port, identity),
        check_port_firmware(port, identity),
        check_backends(port, identity),
    ]


def check_port_firmware(port: Port, identity: Identity | None) -> Check:
    """Judge the firmware that the driver tells; `fieldtap firmware` asks better channels."""
    if port.virtual or (identity is not None and identity.family.firmware is None):
        summary = "has no firmware of its own"
        return Check("port.firmware", port.name, Verdict.NOT_APPLICABLE, summary, {})
    return check_firmware(driver_string(port), identity.family if identity else None)


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


def check_link_history(port: Port) -> Check:
    """`warn` where the link was lost many times since the driver started."""
    evidence: Evidence = {"carrier_ups": port.carrier_ups, "carrier_downs": port.carrier_downs}
    verdict: Verdict = Verdict.OK
    remedy: str | None = None
    if port.carrier_downs is None:
        verdict, summary = Verdict.UNKNOWN, "does not tell how often its link was lost"
    elif not port.carrier_downs:
        summary = "never lost its link since its driver started"
    else:
        summary = f"lost its link {_times(port.carrier_downs)} since its driver started"
        if port.carrier_downs > MANY_DOWNS:
            verdict = Verdict.WARN
            remedy = (
                "if nobody pulled the cable: change cable and transceiver, "
                "and look for errors at the far end"
            )
    return Check("port.link_history", port.name, verdict, summary, evidence, remedy)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


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
