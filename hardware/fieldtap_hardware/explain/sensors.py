"""`sensors`: temperatures and voltages of an adapter (lm-sensors)."""

import re

from fieldtap_hardware.explain.model import Draft, Values
from fieldtap_hardware.explain.text import Recording, decimal, key_of

CHIP = re.compile(r"[\w-]+[ -](?:pci|isa|virtual|acpi)[ -][\w-]+")
ROW = re.compile(r"([A-Z0-9][\w .()+/-]{0,60}):\s+(\S.*)")
READING = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)[ °]?([CVAW]|RPM)(?:\s+\((.*)\))?")
LIMITS = re.compile(r"([a-z ]+?) *= *([+-][0-9]+(?:\.[0-9]+)?)")
LIMIT_LINE = re.compile(r"\((?:[a-z ]+ *= *[+-][0-9]+(?:\.[0-9]+)?[°\w ]*(?:, *|\)))+")
BROKEN = re.compile(r"ERROR: Can't get value of subfeature (\w+): .*")
UNITS = {"C": "degrees_c", "V": "v", "A": "a", "W": "w", "RPM": "rpm"}


def parse(recording: Recording, draft: Draft) -> None:
    """One item a chip: readings are numbers, each limit beside it: phy_temp_crit_degrees_c.

    "N/A" stays text. A sensor that could not be read leaves the others as they are.
    """
    key, unit = "", ""
    for line in recording:
        values: Values = draft.items[-1].values if draft.items else {}
        if CHIP.fullmatch(line.text):
            draft.open(line.text)
        elif not draft.items:
            draft.doubt(f"line {line.number} stands before any chip")
        elif line.text.startswith("("):
            if not LIMIT_LINE.fullmatch(line.text):
                draft.doubt(f"line {line.number} is not understood")
            _put_limits(values, key, unit, line.text)
        elif match := BROKEN.fullmatch(line.text):
            values[f"{match[1]}_readable"] = False
        elif not (match := ROW.fullmatch(line.text)):
            draft.doubt(f"line {line.number} is not understood")
        elif reading := READING.fullmatch(match[2]):
            key, unit = key_of(match[1]), UNITS[reading[2]]
            values[f"{key}_{unit}"] = decimal(reading[1])
            _put_limits(values, key, unit, reading[3] or "")
        elif re.search(r"[0-9],[0-9]", match[2]):
            draft.doubt(f"line {line.number}: a decimal comma: record it with LC_ALL=C")
        else:
            values[key_of(match[1])] = match[2]


def _put_limits(values: Values, key: str, unit: str, text: str) -> None:
    for name, figure in LIMITS.findall(text):
        values[f"{key}_{key_of(name)}_{unit}"] = decimal(figure)
