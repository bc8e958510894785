"""What the catalogue says of a port's adapter: is it known, supported, and fit for capturing?"""

import re
from pathlib import Path

from fieldtap_hardware.adapters import (
    CatalogueError,
    Family,
    Firmware,
    Identity,
    KnownBad,
    is_within,
    read_family,
    version_key,
)
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import ORDER, Check, Evidence, Verdict

Finding = tuple[Verdict, str, str | None]
"""Verdict, summary and remedy."""

OWN_FILE = "describe it in a catalogue file of your own (docs/catalogue.md)"
NEEDED_TO_CAPTURE = ("capture", "timestamps")


def check_adapter(port: Port, identity: Identity | None) -> Check:
    """`ok` where the catalogue knows board, driver and a vendor who supports them.

    `unknown` where it lacks the adapter or cannot tell which board it is, `warn` where support
    ended or another driver runs, and as the entry says for a driver version known to be bad.
    """
    if port.virtual:
        return _check("port.adapter", port, Verdict.NOT_APPLICABLE, "is virtual", {})
    adapter = port.pci[0] if port.pci else None
    evidence: Evidence = {
        "device_id": adapter.device_id if adapter else None,
        "subsystem_id": adapter.subsystem_id if adapter else None,
        "driver": port.driver,
        "driver_version": port.driver_version,
    }
    if identity is None:
        what = port.model or (adapter.device_id if adapter else port.bus) or "its adapter"
        summary = f"{what} is not in the catalogue"
        return _check("port.adapter", port, Verdict.UNKNOWN, summary, evidence, OWN_FILE)
    family = identity.family
    evidence |= {
        "family": family.family,
        "chip": identity.chip.name if identity.chip else None,
        "board": identity.board,
        "board_is_certain": identity.exact,
        "vendor": family.vendor,
        "support": family.support.state,
        "support_evidence": family.support.evidence,
        "support_source": family.support.source,
        "timestamps": family.timestamps.receive,
        "timestamps_source": family.timestamps.source,
        "licenses": [f"{one.feature}: {one.key}; proven by {one.proven}" for one in family.license],
    }
    findings = _adapter_findings(port, identity)
    verdict, _, remedy = max(findings, key=lambda finding: ORDER.index(finding[0]))
    summary = "; ".join(words for _, words, _ in findings)
    return _check("port.adapter", port, verdict, f"{identity.title}: {summary}", evidence, remedy)


def _adapter_findings(port: Port, identity: Identity) -> list[Finding]:
    family, support = identity.family, identity.family.support
    findings: list[Finding] = []
    if not identity.exact:
        address = port.bus_address or "ADDRESS"
        remedy = f"read the board's label, or its part number in `lspci -vvs {address}` as root"
        findings.append((Verdict.UNKNOWN, "only the family is certain, not the board", remedy))
    if port.driver not in family.drivers:
        remedy = f"use the driver {' or '.join(family.drivers)}"
        words = f"driven by {port.driver}, which the catalogue does not expect"
        findings.append((Verdict.WARN, words, remedy))
    elif bad := find_known_bad(family, "driver", port.driver_version):
        words = f"driver {port.driver} {port.driver_version}: {bad.effect}"
        findings.append((Verdict(bad.verdict), words, bad.remedy))
    if support.state == "ended":
        findings.append((Verdict.WARN, support.evidence, support.remedy))
    elif support.state == "unknown":
        remedy = "ask its vendor whether driver and firmware are still maintained"
        findings.append((Verdict.UNKNOWN, "who supports it is not known", remedy))
    else:
        findings.append((Verdict.OK, "is supported", None))
    return findings


def find_known_bad(family: Family, what: str, version: str | None) -> KnownBad | None:
    """The entry that a version of "driver" or "firmware", as printed, falls under."""
    if version is None:
        return None
    return next(
        (
            bad
            for bad in family.known_bad
            if bad.what == what and _falls_under(bad, family, version)
        ),
        None,
    )


def _falls_under(bad: KnownBad, family: Family, version: str) -> bool:
    if bad.pattern is not None:
        return re.search(bad.pattern, version) is not None
    number = version
    if bad.what == "firmware":
        number = _version_of(family.firmware, version) or ""
    key = version_key(number)
    assert bad.first is not None
    assert bad.last is not None
    return key is not None and is_within(key, bad.first, bad.last)


def _version_of(firmware: Firmware | None, text: str) -> str | None:
    match = re.search(firmware.pattern, text) if firmware else None
    return match[1] if match else None


def judge_firmware(running: str, family: Family) -> Finding:
    """What the catalogue says of the firmware that runs, as printed.

    `fail` below the minimum to capture or stamp, `warn` below that of another use; `unknown` where
    it cannot be read, is newer than anything that was looked at, or no minimum is known.
    """
    rules = family.firmware
    if rules is None:
        return Verdict.UNKNOWN, f"runs {running}; the catalogue expects no firmware", OWN_FILE
    if bad := find_known_bad(family, "firmware", running):
        return Verdict(bad.verdict), f"runs {running}: {bad.effect}", bad.remedy
    if rules.any_version:
        return Verdict.OK, f"runs {running}; {rules.any_version}", None
    version = version_key(_version_of(rules, running) or "")
    if version is None:
        remedy = "compare it with the vendor's release notes by hand"
        return Verdict.UNKNOWN, f"runs {running}, which cannot be read as a version", remedy
    update = f"update it with {rules.tool}" if rules.tool else "update it with its vendor's tool"
    below = [one for one in rules.minimum if version < (version_key(one.version) or ())]
    for minimum in sorted(below, key=lambda one: one.use not in NEEDED_TO_CAPTURE):
        verdict = Verdict.FAIL if minimum.use in NEEDED_TO_CAPTURE else Verdict.WARN
        summary = f"runs {running}; {minimum.use} needs {minimum.version} ({minimum.source})"
        return verdict, summary, update
    if rules.newest is not None and version > (version_key(rules.newest) or ()):
        summary = f"runs {running}, newer than {rules.newest}, the newest that was looked at"
        return Verdict.UNKNOWN, summary, "read the vendor's release notes for what changed"
    if rules.minimum:
        return Verdict.OK, f"runs {running}, which is new enough", None
    remedy = f"compare it with the vendor's newest, and {OWN_FILE}"
    return Verdict.UNKNOWN, f"runs {running}; which it should be is not known", remedy


def check_backends(port: Port, identity: Identity | None) -> Check:
    """`ok` where a back end of the engine is known to capture from the adapter."""
    if port.virtual:
        summary = "is virtual: every back end captures from it, none in zero-copy"
        return _check("port.backends", port, Verdict.NOT_APPLICABLE, summary, {})
    if identity is None:
        summary = "which back ends capture from it is not known"
        remedy = "try `ft-capture -i afpacket:PORT`, which takes every interface"
        return _check("port.backends", port, Verdict.UNKNOWN, summary, {}, remedy)
    backends = identity.family.backend
    evidence: Evidence = {
        one.name: " ".join(word for word in (one.works, one.mode) if word) for one in backends
    }
    evidence["sources"] = [f"{one.name}: {one.source}" for one in backends]
    working = [
        one.name + (f" ({one.mode})" if one.mode else "") for one in backends if one.works == "yes"
    ]
    if not working:
        summary = "no back end is known to capture from it"
        remedy = "try `ft-capture -i afpacket:PORT`, and see that the ledger balances"
        return _check("port.backends", port, Verdict.UNKNOWN, summary, evidence, remedy)
    return _check("port.backends", port, Verdict.OK, f"captures by {', '.join(working)}", evidence)


def check_catalogue_file(file: Path) -> Check:
    """Whether a catalogue file can be used: its form, its patterns, its identifiers."""
    try:
        family = read_family(file)
    except CatalogueError as error:
        remedy = f"mend it, then `fieldtap check --catalogue {file}`"
        return Check("catalogue.file", str(file), Verdict.FAIL, str(error), {}, remedy)
    evidence: Evidence = {"family": family.family, "chips": [chip.pci for chip in family.chip]}
    summary = f"describes {family.family}"
    return Check("catalogue.file", str(file), Verdict.OK, summary, evidence)


def _check(
    id_: str,
    port: Port,
    verdict: Verdict,
    summary: str,
    evidence: Evidence,
    remedy: str | None = None,
) -> Check:
    return Check(id_, port.name, verdict, summary, evidence, remedy)
