"""`boltctl list`: Thunderbolt and USB4 devices (bolt, cli/bolt-term.c and boltctl-list.c)."""

import re

from fieldtap_hardware.explain.model import Draft, Item, Values
from fieldtap_hardware.explain.text import Line, Recording, key_of, refuse

# "●", "○" and other signs, or "*", "o", "?" where the terminal has none; then vendor and name.
DEVICE = re.compile(r"[^\w\s|`│├└─-]|[o?*]")
BRANCH = re.compile(r"[\s│├└─|`-]+")
ROW = re.compile(r"([a-z][a-z ]{0,20}):(?: +(\S.*))?")
SPEED = re.compile(
    r"([0-9]{1,4}) Gb/s(?: = ([0-9]{1,3}) lanes? \* ([0-9]{1,4}) Gb/s)?|(unknown|[0-9.]+ \S+)"
)
DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
DATE = re.compile(
    rf"no|yes|unknown|never|[0-9]{{4}}-[0-9:TZ.+ -]+"
    rf"|(?:{DAYS}) (?:[0-9]{{1,2}} (?:{MONTHS})|(?:{MONTHS}) +[0-9]{{1,2}}) [0-9A-Z: ]{{8,24}}"
)
SHAPES = {
    "uuid": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "domain": re.compile(r"[\w./-]+"),
    "authorized": DATE,
    "connected": DATE,
    "stored": DATE,
    "policy": re.compile(r"[a-z]+"),
    "key": re.compile(r"[a-z]+"),
    "status": re.compile(r"[a-z][\w() -]+"),
}
ENDS = {"key": ("no", "yes", "new", "have"), "stored": ("no",)}


def parse(recording: Recording, draft: Draft) -> None:
    """One item a device, its subject the uuid.

    Speeds are numbers, of the link and of one lane: rx_speed_gbps, rx_lanes, rx_lane_gbps.
    """
    found: list[Values] = []
    for line in recording:
        if DEVICE.match(line.text) and line.text[1:2] == " ":
            found.append({})
        elif not (found and _row(line, found[-1], draft)):
            refuse(line, draft)
    for values in found:
        item = Item(str(values.get("uuid", "device")), values)
        draft.items.append(item)
        draft.require(item, ("type", "name", "vendor", "uuid", "status", "stored"))
        if item.values.get("stored", "no") != "no":
            draft.require(item, ("policy", "key"))


def _row(line: Line, values: Values, draft: Draft) -> bool:
    branch = BRANCH.match(line.text)
    match = ROW.fullmatch(line.text[branch.end() :] if branch else line.text)
    if match is None:
        return False
    key, text = key_of(match[1]), match[2] or ""
    shape = SPEED if key in ("rx_speed", "tx_speed") else SHAPES.get(key)
    fits = shape.fullmatch(text) if shape else None
    if shape and not fits:
        draft.doubt(f"line {line.number}: the value of {key!r} is garbled or in another language")
    elif shape is SPEED and fits and fits[1]:
        _put_speed(values, key, fits)
    else:
        values[key] = text
    draft.end_proven = text in ENDS.get(key, ())
    return True


def _put_speed(values: Values, key: str, speed: re.Match[str]) -> None:
    direction = key.partition("_")[0]
    values[f"{key}_gbps"] = int(speed[1])
    if speed[2]:
        values[f"{direction}_lanes"] = int(speed[2])
        values[f"{direction}_lane_gbps"] = int(speed[3])
