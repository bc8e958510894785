"""`ethtool -m`: what an optical module or cable says of itself (sfpid.c, qsfp.c, cmis.c).

What the maker wrote into the module stays text as printed ("10300MBd", "2m"); what the module
measures, and its thresholds, are numbers: "6.130 mA" under laser_bias_current is
laser_bias_current_ma 6.13.
"""

import re

from fieldtap_hardware.explain.model import Draft, Item, Values, append
from fieldtap_hardware.explain.text import (
    Recording,
    decimal,
    key_of,
    read_json,
    refuse,
    scalar,
    starts_json,
)

ROW = re.compile(r"([A-Z][\w (),./+-]{0,80}?) *: ?(.*)")
UNITS = {
    "mA": "ma",
    "mW": "mw",
    "dBm": "dbm",
    "V": "v",
    "degrees C": "degrees_c",
    "degrees F": "degrees_f",
}
FIGURE = re.compile(r"(\S+) (mA|mW|dBm|V|degrees C|degrees F)")
LABEL = re.compile(r"[\w (),./+-]{1,80}")
MAX_DEPTH = 4
HEX_DUMP = re.compile(r"Offset\s+Values|(?:0x)?[0-9a-f]{4}: .*", re.IGNORECASE)
SUBJECT = "module"
# The row that ends what a module of this kind prints, by a row that says so (sff-common.c).
LAST_THRESHOLD = "laser_rx_power_low_warning_threshold"


def parse(recording: Recording, draft: Draft) -> None:
    """One item a module, its subject "module", for the port's name is not printed."""
    if starts_json(recording):
        _parse_json(recording, draft)
    else:
        _parse_rows(recording, draft)
    for item in draft.items:
        draft.require(item, ("identifier", "vendor_name"))


def _parse_rows(recording: Recording, draft: Draft) -> None:
    for line in recording:
        match = ROW.fullmatch(line.text)
        if HEX_DUMP.fullmatch(line.text):
            draft.doubt("it is a hex dump: record `ethtool -m PORT hex off`")
            return
        if (
            match is None
            or match[1].startswith("Cannot ")
            or not (match[1] == "Identifier" or draft.items)
        ):
            refuse(line, draft)
            continue
        if match[1] == "Identifier":
            draft.open(SUBJECT)
        if not _put(draft.items[-1].values, key_of(match[1]), match[2].strip()):
            draft.doubt(f"line {line.number}: its figure is no number (garbled, a decimal comma)")
    for item in draft.items:
        _judge_rows(item, draft)


def _put(values: Values, key: str, text: str) -> bool:
    """Put one row; False where a figure with a unit is not a number."""
    figures = text.split(" / ")
    matches = [FIGURE.fullmatch(figure) for figure in figures]
    if not all(matches):
        if any(text.endswith(f" {unit}") for unit in UNITS):
            return False
        append(values, key, text)
        return True
    for match in matches:
        assert match is not None
        number = decimal(match[1])
        if number is None and match[1] != "-inf":  # no light at all, in dBm
            return False
        values[f"{key}_{UNITS[match[2]]}"] = match[1] if number is None else number
    return True


def _judge_rows(item: Item, draft: Draft) -> None:
    values = item.values
    identifier = str(values.get("identifier", ""))
    if not re.fullmatch(r"0x[0-9a-f]{2} \(.+\)", identifier):
        draft.doubt("its identifier is garbled or cut off")
    if identifier.startswith("0x03"):  # an SFP; its margins are the last that each one has
        draft.require(item, ("br_margin_min",))
    if values.get("alarm_warning_flags_implemented") == "Yes":
        if not any(key.startswith(LAST_THRESHOLD) for key in values):
            draft.doubt(f"its thresholds are cut off: no {LAST_THRESHOLD!r}")
    elif "date_code" in values or identifier.startswith("0x03"):
        draft.end_proven = "date_code" in values and list(values)[-1] == "date_code"


def _parse_json(recording: Recording, draft: Draft) -> None:
    value = read_json(recording, draft)
    for module in value if isinstance(value, list) else [value]:
        if not isinstance(module, dict) or "identifier" not in module:
            if not draft.doubts:
                draft.doubt("its JSON is not that of a module")
            continue
        if not _flatten(draft.open(SUBJECT), (), module):
            draft.doubt("the labels of its JSON are garbled")


def _flatten(values: Values, within: tuple[str, ...], entries: dict[str, object]) -> bool:
    """Put entries, those within others under both labels; False where a label is none."""
    for label, entry in entries.items():
        key = key_of(" ".join((*within, label)))
        if not LABEL.fullmatch(label):
            return False
        if isinstance(entry, dict):
            if len(within) > MAX_DEPTH or not _flatten(values, (*within, label), entry):
                return False
        elif isinstance(entry, list):
            if all(isinstance(part, int) for part in entry):
                values[key] = [int(part) for part in entry]
            else:
                values[key] = [part if isinstance(part, str) else str(part) for part in entry]
        elif (plain := scalar(entry)) is not None:
            values[key] = plain
    return True
