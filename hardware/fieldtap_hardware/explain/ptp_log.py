"""Log lines of ptp4l, phc2sys and ts2phc: states and offsets, the last of each clock counting."""

import re

from fieldtap_hardware.explain.model import Draft, Values
from fieldtap_hardware.explain.text import Line, Recording, decimal

LINE = re.compile(r"(ptp4l|phc2sys|ts2phc)\[([0-9]+(?:\.[0-9]+)?)\]: ?\[([\w.:/-]+)\] (\S.*)")
OTHER = re.compile(r"(?:ptp4l|phc2sys|ts2phc|synce4l|GM|dpll|gnss)\[[0-9.]+\]: ?\[.*")
NUMBER = r"([+-]?[0-9]{1,19})"
OFFSET = re.compile(
    rf"(?:(\S+) )?(?:(?:master|phc|sys) )?offset +{NUMBER} (s[0-3]) freq +{NUMBER}"
    rf"(?: (?:path )?delay +{NUMBER})?(?: holdover)?"
)
SUMMARY = re.compile(
    rf"(?:(\S+) )?rms +{NUMBER} max +{NUMBER} freq +{NUMBER} \+/- +{NUMBER}"
    rf"(?: delay +{NUMBER} \+/- +{NUMBER})?"
)
STATE = re.compile(
    r"port ([0-9]{1,5})(?: \((\S+)\))?: ([A-Z_]{4,20}) to ([A-Z_]{4,20})(?: on ([A-Z_]+).*)?"
)
STATES = {
    *("INITIALIZING", "FAULTY", "DISABLED", "LISTENING", "PRE_MASTER", "MASTER", "PASSIVE"),
    *("UNCALIBRATED", "SLAVE", "GRAND_MASTER"),
}


Names = tuple[str | None, ...]


def parse(recording: Recording, draft: Draft) -> None:
    """One item a daemon and what it steers or receives on: "ptp4l ptp4l.0.config port 1"."""
    known: dict[str, Values] = {}
    for line in recording:
        match = LINE.fullmatch(line.text)
        if match is None:
            if not OTHER.fullmatch(line.text):
                draft.doubt(f"line {line.number} is no log line of linuxptp's")
            continue
        subject, values = _read(match[4])
        if values is None:
            _note_garbled(line, match[4], draft)
            continue
        where = f"{match[1]} {match[3]} {subject}".strip()
        if where not in known:
            known[where] = draft.open(where)
        known[where] |= values | {"time_s": float(match[2])}


def _read(words: str) -> tuple[str, Values | None]:
    if match := STATE.fullmatch(words):
        if not {match[3], match[4]} <= STATES:
            return "", None
        values: Values = {"previous_state": match[3], "port_state": match[4]}
        if match[2]:
            values["port"] = match[2]
        if match[5]:
            values["event"] = match[5]
        return f"port {match[1]}", values
    if match := OFFSET.fullmatch(words):
        names: Names = ("offset_ns", None, "freq_ppb", "delay_ns")
        servo: Values = {"servo_state": match[3]}
        return match[1] or "", servo | _numbers(names, match.groups()[1:])
    if match := SUMMARY.fullmatch(words):
        names = ("rms_ns", "max_ns", "freq_ppb", "freq_dev_ppb", "delay_ns", "delay_dev_ns")
        return match[1] or "", _numbers(names, match.groups()[1:])
    return "", None


def _numbers(names: Names, texts: tuple[str | None, ...]) -> Values:
    pairs = zip(names, texts, strict=True)
    return {name: decimal(text) for name, text in pairs if name and text is not None}


def _note_garbled(line: Line, words: str, draft: Draft) -> None:
    """Doubt a line that begins as one with figures does and is none; pass others over."""
    if re.match(r"(?:\S+ )?(?:master |phc |sys )?(?:offset|rms) ", words):
        draft.doubt(f"line {line.number}: its figures are garbled or cut off")
