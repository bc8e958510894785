"""May this update be done here and now? Checks that refuse it, each with what to do."""

import os
from collections.abc import Sequence
from pathlib import Path

from fieldtap_hardware.adapter_checks import find_known_bad
from fieldtap_hardware.adapters import identify, read_catalogue
from fieldtap_hardware.firmware import devlink_handle
from fieldtap_hardware.firmware_images import ImageError, digest_of
from fieldtap_hardware.firmware_plan import Machine, Plan
from fieldtap_hardware.firmware_versions import same
from fieldtap_hardware.ports import Port
from fieldtap_hardware.power import read_supplies, runs_on_ac
from fieldtap_hardware.programs import find_program
from fieldtap_hardware.sysfs import clean_text, read_bytes
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

LEAST_BATTERY_PERCENT = 50
LISTING_BYTES = 1 << 20
EVERY_PORT = "0"  # in /proc/net/packet
VOLATILE = ("tmpfs", "ramfs", "overlay")

_Finding = tuple[Verdict, str, Evidence, str | None]
"""Verdict, summary, evidence, remedy."""


def precheck(plan: Plan, machine: Machine, not_newer: str | None = None) -> list[Check]:
    """Every check of an update; `not_newer` is the version that may be older or the same.

    `fail` refuses; `unknown` refuses unless the operator accepts that check by its name.
    """
    ports = [port for port in machine.ports() if port.name in plan.ports]
    findings = {
        "image": check_image(plan),
        "adapter": check_adapter(plan, ports),
        "direction": check_direction(plan, not_newer),
        "version": check_version(plan, ports),
        "tool": check_tool(plan, machine),
        "power": check_power(machine.power),
        "captures": check_captures(ports, machine),
        "management": check_management(ports),
        "journal": check_journal(machine.state),
    }
    return [Check(f"update.{name}", plan.target, *finding) for name, finding in findings.items()]


def refusals(checks: Sequence[Check], accepted: Sequence[str] = ()) -> list[Check]:
    """The checks that stand in the way; `accepted` are names of those that may be unknown."""
    names = [name if name.startswith("update.") else f"update.{name}" for name in accepted]
    return [
        check
        for check in checks
        if check.verdict == Verdict.FAIL
        or (check.verdict == Verdict.UNKNOWN and check.id not in names)
    ]


def check_image(plan: Plan) -> _Finding:
    """`ok` where the file's bytes are those that the operator pinned."""
    evidence: Evidence = {"file": plan.image.file, "pinned_sha256": plan.image.sha256}
    try:
        digest = digest_of(Path(plan.image.file))
    except ImageError as error:
        return Verdict.FAIL, str(error), evidence, "supply the image"
    evidence["sha256"] = digest
    if digest != plan.image.sha256:
        remedy = "get the image again, and its checksum from where it was published"
        return Verdict.FAIL, "is not the image that was pinned", evidence, remedy
    return Verdict.OK, "is the image that was pinned", evidence, None


def check_adapter(plan: Plan, ports: Sequence[Port]) -> _Finding:
    """`ok` where the manifest names this very device, and it still has the plan's `ports`.

    An enclosure may have been swapped since the plan was made, and names of ports come back.
    """
    evidence: Evidence = {
        "device_id": plan.device_id,
        "family": plan.family,
        "devices": list(plan.image.devices),
    }
    if tuple(port.name for port in ports) != plan.ports or not _is_planned(plan, ports):
        summary = "the adapter is not the one that the plan was made for, or was unplugged"
        return Verdict.FAIL, summary, evidence, "leave it plugged in, and plan the update again"
    if plan.device_id is None:
        remedy = "run this as root; an adapter that is not identified is not written to"
        return Verdict.FAIL, "the adapter does not tell what it is", evidence, remedy
    if plan.device_id.lower() not in [device.lower() for device in plan.image.devices]:
        summary = f"the image is for {', '.join(plan.image.devices)}, this is {plan.device_id}"
        return Verdict.FAIL, summary, evidence, "choose the image for this adapter"
    if plan.family is None:
        remedy = "see that the image is right for it, then say so: --accept adapter"
        return Verdict.UNKNOWN, "the adapter is in no family that is known", evidence, remedy
    return Verdict.OK, f"the image is for this adapter ({plan.family})", evidence, None


def _is_planned(plan: Plan, ports: Sequence[Port]) -> bool:
    """Whether the plan's handle is one of the ports', and each of them has its PCI id."""
    handles = {devlink_handle(port) for port in ports}
    ids = {port.pci[0].device_id if port.pci else port.driver for port in ports}
    return not ports or (plan.handle in handles and ids == {plan.device_id})


def check_direction(plan: Plan, not_newer: str | None) -> _Finding:
    """`fail` for the same or an older version, unless it was asked for by its name."""
    running, version = plan.before.running, plan.image.version
    evidence: Evidence = {"running": running, "version": version, "asked_for": not_newer}
    if plan.newer:
        return Verdict.OK, f"from {running} to {version}", evidence, None
    if not_newer is not None and not_newer == version:
        return Verdict.OK, f"from {running} to {version}, as asked for", evidence, None
    remedy = f"if that is what you want, name it: --not-newer {version!r}"
    if running is None:
        return Verdict.UNKNOWN, f"what {version} replaces is not known", evidence, remedy
    if plan.newer is None and not same(running, version):
        return Verdict.UNKNOWN, f"is {version} newer than {running}?", evidence, remedy
    word = "the version that runs" if same(running, version) else f"older than {running}"
    return Verdict.FAIL, f"{version} is {word}", evidence, remedy


def check_version(plan: Plan, ports: Sequence[Port]) -> _Finding:
    """What the catalogue says of a version that is known to be bad: `fail` or `warn`."""
    version = plan.image.version
    for identity in (identify(port, read_catalogue().families) for port in ports):
        if identity and (bad := find_known_bad(identity.family, "firmware", version)):
            evidence: Evidence = {"version": version, "source": bad.source}
            return Verdict(bad.verdict), f"{version}: {bad.effect}", evidence, bad.remedy
    return Verdict.OK, f"no fault of {version} is in the catalogue", {"version": version}, None


def check_tool(plan: Plan, machine: Machine) -> _Finding:
    """`ok` where the program is there, fits the driver, and may write."""
    name = plan.command[0]
    drivers = [port.driver or "" for port in machine.ports() if port.name in plan.ports]
    evidence: Evidence = {"tool": name, "command": list(plan.command), "drivers": drivers}
    if find_program(name) is None:
        return Verdict.FAIL, f"{name} is not installed", evidence, f"install {name}"
    if plan.ports and not all(driver.startswith(plan.tool.drivers) for driver in drivers):
        summary = f"{name} does not know the driver {', '.join(sorted(set(drivers)))}"
        return Verdict.FAIL, summary, evidence, "choose the tool for this adapter's family"
    if not machine.is_root():
        return Verdict.FAIL, "this is not root", evidence, "run it with sudo"
    return Verdict.OK, f"{name} writes to it", evidence, None


def check_power(folder: Path) -> _Finding:
    """`fail` on battery or with less than half of one, `unknown` where the machine is silent."""
    supplies = read_supplies(folder)
    batteries = [one for one in supplies if one.kind == "Battery"]
    percents = [one.capacity_percent for one in batteries if one.capacity_percent is not None]
    on_ac = runs_on_ac(supplies)
    evidence: Evidence = {
        "on_ac": on_ac,
        "discharging": any(one.status == "Discharging" for one in batteries),
        "battery_percent": min(percents, default=None),
    }
    plug = "plug the machine in, and wait until its battery is at least half full"
    if evidence["discharging"] or on_ac is False:
        return Verdict.FAIL, "runs on battery", evidence, plug
    if percents and min(percents) < LEAST_BATTERY_PERCENT:
        return Verdict.FAIL, f"its battery is at {min(percents)} %", evidence, plug
    if on_ac is None or len(percents) < len(batteries):
        remedy = "see that it is plugged in and charged, then say so: --accept power"
        summary = "the machine does not tell how it is powered"
        if on_ac:
            summary = "runs on AC; how full its battery is it does not tell"
        return Verdict.UNKNOWN, summary, evidence, remedy
    return Verdict.OK, "runs on AC", evidence, None


def check_captures(ports: Sequence[Port], machine: Machine) -> _Finding:
    """`fail` while an engine runs, or anybody's packet socket listens on a port of the adapter."""
    engines = machine.engines()
    rows = [line.split() for line in _listing(machine.packet_sockets).split("\n")[1:]]
    # The interface's index, or 0 for all of them; a socket of protocol 0 receives nothing.
    bound = {row[4] for row in rows if len(row) > 4 and row[3] != "0000"}
    watched = [port.name for port in ports if {str(port.index), EVERY_PORT} & bound]
    evidence: Evidence = {"engines": engines, "ports_with_packet_sockets": watched}
    if engines:
        remedy = "end it first: `fieldtap capture list`, `fieldtap capture stop NAME`"
        return Verdict.FAIL, f"runs now: {', '.join(engines)}", evidence, remedy
    if watched:
        remedy = "see who: `ss --packet --processes`"
        return Verdict.FAIL, f"something captures on {', '.join(watched)}", evidence, remedy
    return Verdict.OK, "nothing captures", evidence, None


def check_management(ports: Sequence[Port]) -> _Finding:
    """`fail` where the host uses a port of the adapter: it would cut itself off."""
    used = {
        port.name: "the default route"
        if port.default_route
        else ", ".join(port.addresses) or ", ".join(device.name for device in port.stacked)
        for port in ports
        if port.default_route
        or [address for address in port.addresses if not address.startswith("fe80:")]
        or port.stacked
    }
    evidence: Evidence = {"used": [f"{name}: {why}" for name, why in used.items()]}
    if used:
        name, why = next(iter(used.items()))
        remedy = "free the adapter's ports of addresses, routes, bridges and bonds"
        return Verdict.FAIL, f"the host uses {name} ({why})", evidence, remedy
    return Verdict.OK, "the host does not use it", evidence, None


def check_journal(folder: Path) -> _Finding:
    """`warn` where a power cut would take the journal along."""
    kind = filesystem_of(folder, _listing(Path("/proc/self/mounts")))
    evidence: Evidence = {"folder": os.fspath(folder), "file_system": kind}
    if kind in VOLATILE:
        remedy = "keep it on a disk: --journal DIR"
        return Verdict.WARN, f"{folder} is in memory ({kind})", evidence, remedy
    return Verdict.OK, f"{folder} outlasts a power cut", evidence, None


def filesystem_of(folder: Path, mounts: str) -> str | None:
    """The type of the file system that `folder` is or will be on, by /proc/self/mounts."""
    best, kind = "", None
    for line in mounts.split("\n"):
        fields = line.split(" ")
        above = len(fields) > 2 and folder.absolute().is_relative_to(fields[1])
        if above and len(fields[1]) >= len(best):
            best, kind = fields[1], fields[2]
    return kind


def _listing(path: Path) -> str:
    """A file of /proc that is longer than a page."""
    return clean_text(read_bytes(path, LISTING_BYTES) or b"")
