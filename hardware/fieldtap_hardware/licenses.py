"""Which features of Solarflare adapters are licensed, told by sfkey or by how the driver behaves.

The firmware refuses what is not licensed, and the driver shows it: an SFN7000 without the PTP key
has no clock (the request ends in EPERM), an SFN8000 or X2 without it has a clock but does not offer
transmit timestamps (in-tree sfc, efx_ptp_probe and efx_ptp_get_ts_info). Told so, a state is
`inferred`. X3 and later need no key.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from fieldtap_hardware.explain import explain
from fieldtap_hardware.licensed_apps import Feature
from fieldtap_hardware.ports import Port
from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.verdicts import Check, Unreadable, Verdict

SFKEY = ("sfkey", "--report", "--all")
SFN7000 = ("1924:0903", "1924:0923")
SFN8000_AND_X2 = ("1924:0a03", "1924:0b03", "1924:0b13")


class LicenseState(StrEnum):
    LICENSED = "licensed"
    MISSING = "missing"
    UNKNOWN = "unknown"


class License(Struct, frozen=True):
    """Whether one feature of ours is licensed on the adapter of a port, and who says so."""

    port: str
    adapter: str | None
    feature: Feature
    state: LicenseState
    source: str  # "driver" (inferred), or "sfkey"
    reason: str


def read_licenses(ports: Sequence[Port], ask: Ask = ask_program) -> list[License]:
    """Every feature on every port of an adapter that takes licences; empty without one."""
    licensed = [port for port in ports if _device_id(port) in (*SFN7000, *SFN8000_AND_X2)]
    if not licensed:
        return []
    output = ask(SFKEY)
    if isinstance(output, Unreadable):
        enabled: dict[str, object] = {}
        reason = output.reason
    else:
        report = explain("sfkey", output)
        enabled = {item.subject: item.values.get("enables") for item in report.items}
        reason = report.reason or ""
    licenses = []
    for port in licensed:
        licenses.append(_infer_timestamps(port))
        words = enabled.get(port.name)
        names = [str(word) for word in words] if isinstance(words, list) else None
        licenses += [
            _by_sfkey(port, feature, names, reason)
            for feature in Feature
            if feature is not Feature.TIMESTAMPS
        ]
    return licenses


def check_license(found: License) -> Check:
    """`warn` where a licence is missing; a statement in a format never verified is `unknown`."""
    verdict = Verdict.UNKNOWN
    remedy: str | None = "see the adapter's licence record at its vendor"
    if found.source == "driver" and found.state is LicenseState.LICENSED:
        verdict, remedy = Verdict.OK, None
    elif found.state is LicenseState.MISSING:
        verdict, remedy = Verdict.WARN, _remedy(found.feature)
    return Check(
        id="port.license",
        subject=found.port,
        verdict=verdict,
        summary=f"{found.feature}: {found.state} ({found.reason})",
        evidence={
            "adapter": found.adapter,
            "feature": found.feature,
            "state": found.state,
            "source": found.source,
            "inferred": found.source == "driver",
        },
        remedy=remedy,
    )


def _infer_timestamps(port: Port) -> License:
    stamping = port.timestamping
    has_clock = stamping is not None and stamping.phc_index is not None
    if stamping is None:
        state, reason = LicenseState.UNKNOWN, "the driver does not tell what it can stamp"
    elif _device_id(port) in SFN7000:
        state = LicenseState.LICENSED if has_clock else LicenseState.MISSING
        reason = f"inferred: the driver {'has a' if has_clock else 'offers no'} clock"
    elif not has_clock:
        state, reason = LicenseState.UNKNOWN, "the driver offers no clock, licensed or not"
    else:
        state = LicenseState.LICENSED if stamping.adapter_tx else LicenseState.MISSING
        offers = "offers" if stamping.adapter_tx else "does not offer"
        reason = f"inferred: the driver {offers} transmit timestamps"
    return License(port.name, port.model, Feature.TIMESTAMPS, state, "driver", reason)


def _by_sfkey(port: Port, feature: Feature, names: list[str] | None, reason: str) -> License:
    state = LicenseState.UNKNOWN
    if names is not None and feature in names:
        state = LicenseState.LICENSED  # never "missing": its words may be others than we know
    return License(port.name, port.model, feature, state, "sfkey", reason)


def _remedy(feature: Feature) -> str:
    if feature is Feature.TIMESTAMPS:
        return "install the adapter's Precision Time key, or capture with `ft-capture -t host`"
    return f"install the adapter's key for {feature}"


def _device_id(port: Port) -> str | None:
    return port.pci[0].device_id if port.pci else None
