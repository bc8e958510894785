"""`flint query` and `mstflint query`: firmware of an NVIDIA (Mellanox) adapter."""

import re

from fieldtap_hardware.explain.model import Draft, Item, Values, append
from fieldtap_hardware.explain.text import (
    Line,
    Recording,
    key_of,
    refuse,
)

ROW = re.compile(r"([A-Z][A-Za-z0-9 ()/]{0,40}):(?:\s+(\S.*))?")
# What the heading "Description: UID GuidsNumber" announces: an identifier and how many follow it.
COUNTED = re.compile(r"([0-9a-fA-F]{12,16})\s+([0-9]{1,5})")
HEADINGS = "description"  # of the columns below it
IMAGE = re.compile(r"type=[\w=., ()-]+")
LISTS = ("guids", "macs")  # of the node and its ports, on adapters before ConnectX-4
ASIDE = re.compile(r"-[IW]- .*")
FAILURE = re.compile(r"-E- .*")
SHAPES = {
    "image_type": re.compile(r"FS[0-9]+|[A-Z][A-Z0-9 ]+"),
    "fw_version": re.compile(r"[0-9]+(?:\.[0-9]+)+"),
    "fw_version_running": re.compile(r"[0-9]+(?:\.[0-9]+)+"),
    "product_version": re.compile(r"\S*[0-9]\S*"),
    "fw_release_date": re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}"),
    "psid": re.compile(r"[A-Z0-9_]{4,16}"),
}


def parse(recording: Recording, draft: Draft) -> None:
    """One item a device; its subject is the base GUID, for the PCI address is not printed."""
    key = ""
    values: Values = {}
    found: list[Values] = []
    for line in recording:
        match = ROW.fullmatch(line.text) if not line.indent or not key else None
        if match:
            key = key_of(match[1])
            if key == "image_type" or not found:
                values = {}
                found.append(values)
            _put(values, key, match[2] or "", line, draft)
        elif FAILURE.fullmatch(line.text):
            draft.doubt(f"line {line.number}: the tool failed: {line.text[4:104]}")
        elif line.indent and key and found and IMAGE.fullmatch(line.text):
            append(values, key, line.text)  # "Rom Info" lists an image a line
        elif not ASIDE.fullmatch(line.text):
            refuse(line, draft)
    for values in found:
        item = Item("", values)
        subject = item.text("base_guid", "base_mac", "psid") or "device"
        draft.items.append(Item(subject, values))
        draft.require(draft.items[-1], ("image_type", "fw_version", "psid"))


def _put(values: Values, key: str, text: str, line: Line, draft: Draft) -> None:
    if key == HEADINGS:
        return
    shape = SHAPES.get(key)
    counted = COUNTED.fullmatch(text)
    if shape and not shape.fullmatch(text):
        refuse(line, draft)
    elif counted:
        values[key], values[f"{key}_count"] = counted[1], int(counted[2])
    elif key in LISTS:
        values[key] = text.split()
    else:
        append(values, key, text)
