"""`ethtool -T`: what a port can stamp (ethtool.c, dump_tsinfo; netlink/tsinfo.c).

Before ethtool 5.10 each word is followed by its constant, "(SOF_TIMESTAMPING_TX_HARDWARE)".
"""

import re

from fieldtap_hardware.explain.model import Draft, Item, Value, Values
from fieldtap_hardware.explain.text import (
    WHOLE,
    Line,
    Recording,
    key_of,
    refuse,
)

PORT = re.compile(r"Time stamping parameters for (\S{1,32}):")
LISTS = (
    "Capabilities",
    "Hardware Transmit Timestamp Modes",
    "Hardware Receive Filter Modes",
)
SECTION = re.compile(f"({'|'.join(LISTS)}):(?: (none))?")
ROW = re.compile(
    r"(PTP Hardware Clock|Hardware timestamp (?:provider (?:index|qualifier)|source)|tx_\w+)"
    r": (\S.*)"
)
WORD = re.compile(r"([a-z][a-z0-9-]{1,40})(?: +\(([A-Z][A-Z0-9_]+)\))?")
CLOCK = re.compile(r"[0-9]{1,9}|none")
CLOCK_KEYS = ("ptp_hardware_clock", "hardware_timestamp_provider_index")


def parse(recording: Recording, draft: Draft) -> None:
    """One item a port: the printed words as lists; the clock a number, or "none"."""
    section: list[str] | None = None
    for line in recording:
        values = draft.items[-1].values if draft.items else None
        if match := PORT.fullmatch(line.text):
            draft.open(match[1])
            section = None
        elif values is None:
            refuse(line, draft)
        elif match := SECTION.fullmatch(line.text):
            section = None if match[2] else []
            values[key_of(match[1])] = match[2] if section is None else section
        elif section is not None and line.indent and (match := WORD.fullmatch(line.text)):
            section.append(match[1])
        elif line.text != "Statistics:" and not _row(values, line):
            refuse(line, draft)
    for item in draft.items:
        draft.require(item, (key_of(label) for label in LISTS))
        for key, value in item.values.items():
            if value == []:
                draft.doubt(f"{item.subject}: nothing under {key!r}: cut off")
        stamps = "hardware-receive" in _words(item, "Capabilities")
        if stamps and _words(item, "Hardware Receive Filter Modes") == ["none"]:
            draft.doubt(f"{item.subject}: it stamps, but by no filter: cut off")
        if not any(key in item.values for key in CLOCK_KEYS):
            draft.doubt(f"{item.subject}: no word about its clock: cut off")


def _words(item: Item, label: str) -> list[str]:
    value = item.values.get(key_of(label))
    return [str(word) for word in value] if isinstance(value, list) else []


def _row(values: Values, line: Line) -> bool:
    match = ROW.fullmatch(line.text)
    if match is None:
        return False
    key = key_of(match[1])
    value: Value = int(match[2]) if WHOLE.fullmatch(match[2]) else match[2]
    if key in CLOCK_KEYS and not CLOCK.fullmatch(match[2]):
        return False
    values[key] = value
    return True
