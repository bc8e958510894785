"""Every check, in one run; the small ones about a single port are made here."""

from collections.abc import Sequence
from pathlib import Path

from fieldtap_hardware.adapter_checks import check_adapter, check_backends, check_catalogue_file
from fieldtap_hardware.adapters import Identity, identify, read_catalogue
from fieldtap_hardware.bandwidth import NOTHING_MORE, Way, check_pcie
from fieldtap_hardware.bypass import Duty, check_relay
from fieldtap_hardware.clock import ClockReading, check_timestamps
from fieldtap_hardware.drives import check_health, check_temperature
from fieldtap_hardware.drops import check_drops
from fieldtap_hardware.engine import check_program
from fieldtap_hardware.firmware import check_firmware, driver_string
from fieldtap_hardware.interrupts import check_interrupts
from fieldtap_hardware.loops import check_loop
from fieldtap_hardware.optics import check_optics
from fieldtap_hardware.ports import LIVE, Kernel, Port
from fieldtap_hardware.power import check_supply, check_throttling
from fieldtap_hardware.processor import check_governor, check_idle, check_isolation
from fieldtap_hardware.programs import Ask
from fieldtap_hardware.readings import PortReading, Readings, take_readings
from fieldtap_hardware.sending import check_lldp, check_sending
from fieldtap_hardware.silence import check_silence
from fieldtap_hardware.storage import check_storage
from fieldtap_hardware.thunderbolt import check_enclosure, check_tree, tunnels
from fieldtap_hardware.verdicts import Check, Evidence, Report, Unreadable, Verdict, report_of
from fieldtap_hardware.words import rate_words
from fieldtap_hardware.write_rate import check_time_left, check_write_rate

MANY_DOWNS = 10  # replugging counts too
NO_PORT = Check(
    id="machine.ports",
    subject="machine",
    verdict=Verdict.FAIL,
    summary="has no port to capture from",
    evidence={},
    remedy="plug the adapter in and switch its enclosure on; `lspci -nn` lists what the bus sees",
)


def run_checks(
    ports: Sequence[Port],
    capture_dir: Path,
    programs: Sequence[Path] = (),
    kernel: Kernel = LIVE,
    ask: Ask | None = None,
) -> Report:
    """Read the machine under `ports`, `capture_dir` and the engine's `programs`, and judge it.

    docs/checks.md lists every check. `ask` runs vendors' and drives' programs; without it, what
    only they know is not judged. Raises nothing for what it finds: that is in the report.
    """
    return judge(take_readings(ports, capture_dir, programs, kernel, ask))


def judge(readings: Readings, duty: Duty = Duty.BLOCK) -> Report:
    """Every check over what was read, here or on another machine.

    Ports of one run are judged together: they share PCI Express links and the disk. `duty` is what
    a link with a bypass relay must do when the machine is dead.
    """
    ports, catalogue = readings.ports, read_catalogue()
    way = Way(tunnels=tunnels(ports, readings.tree), measured=readings.measured)
    checks: list[Check] = [] if ports else [NO_PORT]
    for port in ports:
        checks += check_port(port, ports, readings.clocks, way)
        if (loop := check_loop(port, readings.loops)) is not None:
            checks.append(loop)
        checks.append(check_enclosure(port, readings.tree))
        checks += check_hardware(port, identify(port, catalogue.families))
        if (reading := readings.of_port.get(port.name)) is not None:
            checks.append(check_optics(port, reading.module))
            checks.append(check_drops(port, reading.drops))
            checks += check_outward(port, reading, duty)
            checks.append(check_interrupts(port, reading.interrupts, readings.processor))
    checks += check_tree(readings.tree)
    checks += [check_catalogue_file(file) for file in catalogue.unusable]
    checks += check_machine(readings)
    checks += readings.time_checks
    checks += check_disk(readings)
    checks += [check_program(Path(path), found) for path, found in readings.programs.items()]
    return report_of(checks)


def check_outward(port: Port, reading: PortReading, duty: Duty) -> list[Check]:
    """What leaves the port: frames of the host, of the firmware, and past a relay."""
    return [
        check_sending(port, reading.sent),
        check_lldp(port, sends=reading.firmware_lldp),
        *check_relay(port, reading.relay, duty),
    ]


def check_machine(readings: Readings) -> list[Check]:
    """Power, heat and processor."""
    return [
        check_supply(readings.supplies),
        check_throttling(readings.throttling),
        check_governor(readings.processor),
        check_idle(readings.processor),
        check_isolation(readings.processor),
    ]


def check_disk(readings: Readings) -> list[Check]:
    """Room, rate and the drive beneath; the drive only where its programs were asked."""
    directory, storage, ports = readings.directory, readings.storage, readings.ports
    checks = [check_storage(Path(directory), storage, ports)]
    if isinstance(storage, Unreadable):
        return checks  # there is nothing more to ask about
    checks.append(check_time_left(directory, storage, readings.captures))
    if readings.drive is not None:
        checks += [
            check_write_rate(directory, readings.write_run, ports),
            check_health(directory, readings.drive),
            check_temperature(directory, readings.drive),
        ]
    return checks


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
