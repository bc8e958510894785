"""Transceivers and cables: what they say of themselves, and whether their light is as it should be.

Read by ETHTOOL_GMODULEINFO and ETHTOOL_GMODULEEEPROM (<linux/ethtool.h>); layouts are those of
SFF-8472 (SFP) and SFF-8636 (QSFP). Powers are milliwatts, as the thresholds are written.
"""

import os
import struct
from collections.abc import Iterator

from msgspec import Struct

from fieldtap_hardware.ethtool import Query
from fieldtap_hardware.ports import Port
from fieldtap_hardware.sysfs import clean_text
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict

GMODULEINFO = struct.pack("=I", 0x42).ljust(44, b"\0")
GMODULEEEPROM = 0x43
EEPROM_AT = 16
MAX_BYTES = 1024

# Kinds of memory map (<linux/ethtool.h>) and identifiers of modules (SFF-8024).
SFF_8079, SFF_8472, SFF_8636, SFF_8436 = 1, 2, 3, 4
SFP, QSFP, QSFP_PLUS, QSFP28 = 0x03, 0x0C, 0x0D, 0x11

SFP_DIAGNOSTICS = 256  # the second address, A2h, follows the first
SFP_MONITORED, SFP_INTERNALLY_CALIBRATED = 1 << 6, 1 << 5
QSFP_FLAT = 1 << 2
QSFP_THRESHOLDS = 512  # page 3, after the lower page and pages 0 to 2
QSFP_LANES = 4

TEMPERATURE = ("temperature_c", ">h", 1 / 256)
VOLTAGE = ("supply_v", ">H", 1e-4)
BIAS = ("laser_bias_ma", ">H", 2e-3)
TX_POWER = ("tx_power_mw", ">H", 1e-4)
RX_POWER = ("rx_power_mw", ">H", 1e-4)


class Reading(Struct, frozen=True, kw_only=True):
    """One measured quantity and its four thresholds, in the unit that ends its name."""

    name: str  # "rx_power_mw", for one of several lanes "rx_power_mw_2"
    value: float
    low_alarm: float
    low_warning: float
    high_warning: float
    high_alarm: float


class Module(Struct, frozen=True, kw_only=True, tag=True):
    """What is plugged into a port."""

    kind: str  # "SFP" or "QSFP"
    vendor: str | None
    part: str | None
    serial: str | None
    readings: tuple[Reading, ...]  # empty without diagnostics
    why_no_readings: str | None
    defect: bool  # it should have readings, but what it says cannot be used


NOT_TOLD = Unreadable("only root may read it")  # the kernel refuses before it asks the driver


def read_module(port: str, ask: Query) -> Module | Unreadable | None:
    """The module in `port`; None where the driver tells of none.

    Takes some tens of milliseconds: modules are read over a slow serial bus.
    """
    info = ask(port, GMODULEINFO)
    if info is None or len(info) < 12:
        return None if os.geteuid() == 0 else NOT_TOLD
    kind, length = struct.unpack_from("=4xII", info)
    length = min(length, MAX_BYTES)
    request = struct.pack("=IIII", GMODULEEEPROM, 0, 0, length) + bytes(length)
    answer = ask(port, request)
    if answer is None:
        return Unreadable("its memory cannot be read")
    return parse_module(kind, answer[EEPROM_AT:])


def parse_module(kind: int, memory: bytes) -> Module | Unreadable:
    """Parse a module's memory as the kernel lays it out, `kind` one of ETH_MODULE_SFF_*."""
    if kind in (SFF_8079, SFF_8472):
        return _parse_sfp(memory)
    if kind in (SFF_8636, SFF_8436):
        return _parse_qsfp(memory)
    return Unreadable(f"its memory is laid out in a way that is not known ({kind})")


def _parse_sfp(memory: bytes) -> Module | Unreadable:
    if len(memory) < 128 or memory[0] != SFP:
        return Unreadable("it does not begin as an SFP's memory does")
    monitoring = memory[92]
    readings: tuple[Reading, ...] = ()
    why, defect = None, False
    if not monitoring & SFP_MONITORED:
        why = "it measures nothing, as cables do"
    elif not monitoring & SFP_INTERNALLY_CALIBRATED:
        why, defect = "it leaves calibration to the reader", True
    elif len(memory) < SFP_DIAGNOSTICS + 106:
        why, defect = "its diagnostics cannot be read", True
    else:
        at = SFP_DIAGNOSTICS
        places = zip(
            (TEMPERATURE, VOLTAGE, BIAS, TX_POWER, RX_POWER),
            range(at + 96, at + 106, 2),
            range(at, at + 40, 8),
            strict=True,
        )
        readings = tuple(_reading(memory, *place) for place in places)
    return Module(
        kind="SFP",
        vendor=_text(memory[20:36]),
        part=_text(memory[40:56]),
        serial=_text(memory[68:84]),
        readings=readings,
        why_no_readings=why,
        defect=defect,
    )


def _parse_qsfp(memory: bytes) -> Module | Unreadable:
    if len(memory) < 256 or memory[0] not in (QSFP, QSFP_PLUS, QSFP28):
        return Unreadable("it does not begin as a QSFP's memory does")
    readings: tuple[Reading, ...] = ()
    why, defect = None, False
    if memory[2] & QSFP_FLAT:
        why = "it measures nothing, as cables do"
    elif len(memory) < QSFP_THRESHOLDS + 128:
        why, defect = "its thresholds cannot be read", True
    else:
        readings = tuple(_qsfp_readings(memory))
    return Module(
        kind="QSFP",
        vendor=_text(memory[148:164]),
        part=_text(memory[168:184]),
        serial=_text(memory[196:212]),
        readings=readings,
        why_no_readings=why,
        defect=defect,
    )


def _qsfp_readings(memory: bytes) -> Iterator[Reading]:
    yield _reading(memory, TEMPERATURE, 22, QSFP_THRESHOLDS)
    yield _reading(memory, VOLTAGE, 26, QSFP_THRESHOLDS + 16)
    lanes = ((RX_POWER, 34, 48), (BIAS, 42, 56), (TX_POWER, 50, 64))
    for (name, layout, unit), at, thresholds in lanes:
        for lane in range(QSFP_LANES):
            quantity = (f"{name}_{lane + 1}", layout, unit)
            yield _reading(memory, quantity, at + 2 * lane, QSFP_THRESHOLDS + thresholds)


def _reading(
    memory: bytes, quantity: tuple[str, str, float], at: int, thresholds_at: int
) -> Reading:
    name, layout, unit = quantity
    (value,) = struct.unpack_from(layout, memory, at)
    limits = struct.unpack_from(f">4{layout[1]}", memory, thresholds_at)
    high_alarm, low_alarm, high_warning, low_warning = (round(one * unit, 4) for one in limits)
    return Reading(
        name=name,
        value=round(value * unit, 4),
        low_alarm=low_alarm,
        low_warning=low_warning,
        high_warning=high_warning,
        high_alarm=high_alarm,
    )


def _text(raw: bytes) -> str | None:
    return clean_text(raw.strip(b"\0\xff ")).replace("\n", "?") or None


REMEDIES = {
    "temperature_c": "give adapter and transceiver more air, or use a cooler transceiver",
    "supply_v": "check the power supply of the adapter or enclosure",
    "laser_bias_ma": "its laser ages: replace the transceiver",
    "tx_power_mw": "replace the transceiver",
    "rx_power_mw": (
        "clean and reseat both ends of the fibre, check the far end's transceiver and the "
        "fibre's kind and length; light that is too strong wants an attenuator"
    ),
}
Finding = tuple[Reading, str, float]


def check_optics(port: Port, module: Module | Unreadable | None) -> Check:
    """`fail` where a reading is beyond an alarm threshold, `warn` beyond a warning threshold.

    A threshold pair of which both are 0 says nothing. A transmitter of a port that is down may be
    dark, so it is judged only while the port is up.
    """
    if module is None and port.connector == "fibre":
        summary = "tells nothing of its transceiver"
        return _check(port, Verdict.UNKNOWN, summary, {}, "reseat it, or try another")
    if module == NOT_TOLD and _may_have_one(port):
        summary = "its transceiver was not read: only root may"
        return _check(port, Verdict.UNKNOWN, summary, {}, "check again with `sudo fieldtap check`")
    if module is None or module == NOT_TOLD:
        what = port.connector or ("virtual" if port.virtual else "not told")
        summary = f"has no transceiver that tells of itself (connector: {what})"
        return _check(port, Verdict.NOT_APPLICABLE, summary, {"connector": port.connector})
    if isinstance(module, Unreadable):
        summary = f"its transceiver is not understood: {module.reason}"
        return _check(port, Verdict.UNKNOWN, summary, {}, "reseat it, or try another")
    evidence: Evidence = {
        "kind": module.kind,
        "vendor": module.vendor,
        "part": module.part,
        "serial": module.serial,
    }
    for reading in module.readings:
        evidence[reading.name] = reading.value
        evidence[f"{reading.name}_thresholds"] = [
            f"{limit:g}"
            for limit in (
                reading.low_alarm,
                reading.low_warning,
                reading.high_warning,
                reading.high_alarm,
            )
        ]
    what = " ".join(word for word in (module.vendor, module.part) if word) or module.kind
    if not module.readings:
        verdict = Verdict.UNKNOWN if module.defect else Verdict.NOT_APPLICABLE
        remedy = "measure the light with a meter" if module.defect else None
        return _check(port, verdict, f"{what}: {module.why_no_readings}", evidence, remedy)
    judged = [one for one in module.readings if port.up or not _of_transmitter(one)]
    for verdict, beyond in ((Verdict.FAIL, _beyond_alarm), (Verdict.WARN, _beyond_warning)):
        for reading in judged:
            if (limit := beyond(reading)) is not None:
                summary = f"{what}: {reading.name} is {reading.value:g}, its limit {limit:g}"
                return _check(port, verdict, summary, evidence, _remedy(reading))
    if not any(one.high_alarm or one.high_warning for one in judged):
        summary = f"{what}: it gives no thresholds to judge its readings by"
        return _check(port, Verdict.UNKNOWN, summary, evidence, "measure the light with a meter")
    return _check(port, Verdict.OK, f"{what}: every reading is within its limits", evidence)


def _may_have_one(port: Port) -> bool:
    return port.connector == "fibre" or (port.connector is None and port.bus == "pci")


def _of_transmitter(reading: Reading) -> bool:
    return reading.name.startswith((BIAS[0], TX_POWER[0]))


def _beyond_alarm(reading: Reading) -> float | None:
    return _beyond(reading.value, reading.low_alarm, reading.high_alarm)


def _beyond_warning(reading: Reading) -> float | None:
    return _beyond(reading.value, reading.low_warning, reading.high_warning)


def _beyond(value: float, low: float, high: float) -> float | None:
    """The limit that `value` is beyond."""
    if low == high == 0:
        return None
    if value < low:
        return low
    return high if value > high else None


def _remedy(reading: Reading) -> str:
    return next(words for name, words in REMEDIES.items() if reading.name.startswith(name))


def _check(
    port: Port, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check("port.optics", port.name, verdict, summary, evidence, remedy)
