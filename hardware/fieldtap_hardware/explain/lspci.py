"""lspci in the forms that people record: plain, -nn, -k, -v to -vvv, and -vmm (pciutils)."""

import re

from fieldtap_hardware.explain.model import Draft, Item, Values
from fieldtap_hardware.explain.text import (
    Line,
    Recording,
    decimal,
    key_of,
    refuse,
)

ADDRESS = r"(?:[0-9a-f]{2,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]"
HEADER = re.compile(
    rf"({ADDRESS}) ([A-Z0-9][^:\[]{{0,60}}?)(?: \[([0-9a-f]{{4}})\])?: (\S.*?)"
    r"(?: \(rev ([0-9a-f]{2})\))?(?: \(prog-if ([0-9a-f]{2})(?: \[.*\])?\))?"
)
IDS = re.compile(r"(.*?) ?\[?([0-9a-f]{4}):([0-9a-f]{4})\]?")
CLASS_ID = re.compile(r"[0-9a-f]{4}")
ROW = re.compile(r"([A-Z][A-Za-z0-9 /-]{0,40}): ?(.*)")
DETAIL = re.compile(r"([A-Za-z0-9/ \[\]&<>-]{1,40}):? ?(.*)")

TAGGED = re.compile(r"([A-Z][A-Za-z]{1,12}):\s*(.*)")
TAGS = {
    *("Slot", "Class", "Vendor", "Device", "SVendor", "SDevice", "PhySlot", "Rev", "ProgIf"),
    *("Driver", "Module", "NUMANode", "DTNode", "IOMMUGroup"),
}
NAMED = ("class", "vendor", "device", "svendor", "sdevice")
SHAPES = {
    "slot": re.compile(ADDRESS),
    "rev": re.compile(r"[0-9a-f]{2}"),
    "prog_if": re.compile(r"[0-9a-f]{2}"),
    "numanode": re.compile(r"-?[0-9]+"),
    "iommugroup": re.compile(r"[0-9]+"),
}
WITH_ID = re.compile(r"(.*?) ?\[([0-9a-f]{4})\]|([0-9a-f]{4})")

# First-level rows that only -v prints. Each device then ends with an empty line.
VERBOSE = ("control", "status", "flags", "capabilities")
UNLABELLED = ("[virtual]", "Expansion ROM", "Memory at", "I/O ports", "!!!")
LINK = re.compile(r"Speed ([0-9.]{1,5})GT/s(?: \((\w+)\))?, Width x([0-9]{1,2})(?: \((\w+)\))?")
PAYLOAD = re.compile(r"MaxPayload ([0-9]{1,5}) bytes")
VPD = re.compile(r"\[(PN|SN|EC)\] [A-Za-z ]+: (\S.*)")


def parse(recording: Recording, draft: Draft) -> None:
    """One item a device, its subject the slot as printed.

    Of `-vv`: the rows of the first level, and of the capabilities the link (lnk_sta_speed_gtps,
    lnk_sta_width), the payload size and the part number (vpd_pn).
    """
    if any(line.text.startswith("Slot:") for line in recording):
        _parse_tagged(recording, draft)
    else:
        _parse_described(recording, draft)


def _parse_tagged(recording: Recording, draft: Draft) -> None:
    values: Values | None = None
    for line in recording.lines:
        if not line.text:
            values = None
            continue
        match = TAGGED.fullmatch(line.text)
        if match is None or match[1] not in TAGS or (values is None and match[1] != "Slot"):
            refuse(line, draft)
            continue
        if values is None:
            values = draft.open(match[2])
        if not _put_named(values, key_of(match[1]), match[2]):
            refuse(line, draft)
    with_ids = any("class_id" in item.values for item in draft.items)
    for item in draft.items:
        draft.require(item, ("slot", "class", "vendor", "device"))
        if with_ids:
            draft.require(item, (f"{key}_id" for key in NAMED if key in item.values))
    if values is not None:
        draft.doubt(f"{draft.items[-1].subject}: the empty line after it is missing: cut off")


def _put_named(values: Values, key: str, text: str) -> bool:
    shape = SHAPES.get(key)
    if shape and not shape.fullmatch(text):
        return False
    match = WITH_ID.fullmatch(text)
    if key in NAMED and match:
        if match[1]:
            values[key] = match[1]
        values[f"{key}_id"] = match[2] or match[3]
        values.setdefault(key, match[3])
    else:
        values[key] = text
    return True


def _parse_described(recording: Recording, draft: Draft) -> None:
    verbose = False
    capability = False
    blank = True
    for line in recording.lines:
        if not line.text:
            blank = True
        elif match := HEADER.fullmatch(line.text) if not line.indent else None:
            verbose = capability = False
            _put_header(draft.open(match[1]), match)
            blank = False
        elif not (draft.items and line.indent):
            refuse(line, draft)
        else:
            match = ROW.fullmatch(line.text)
            level = line.indent <= 8
            key = key_of(match[1]) if match and level else ""
            verbose = verbose or key in VERBOSE
            capability = key == "capabilities" if level else capability
            blank = False
            _put_row(draft.items[-1], line, key, match, draft, capability=capability)
    if verbose and not blank:
        draft.doubt(f"{draft.items[-1].subject}: the empty line after it is missing: cut off")


def _put_header(values: Values, header: re.Match[str]) -> None:
    values["slot"], values["class"] = header[1], header[2]
    for key, text in (("class_id", header[3]), ("rev", header[5]), ("prog_if", header[6])):
        if text:
            values[key] = text
    if CLASS_ID.fullmatch(header[2]):  # -n: numbers alone
        values["class_id"] = header[2]
    _put_pair(values, "", header[4])


def _put_pair(values: Values, prefix: str, text: str) -> None:
    """Vendor and device are one text in these forms; with -nn both ids follow it."""
    match = IDS.fullmatch(text)
    values[prefix or "device"] = match[1] or text if match else text
    if match:
        values[f"{prefix}_vendor_id".strip("_")] = match[2]
        values[f"{prefix}_device_id".strip("_")] = match[3]


def _put_row(
    item: Item,
    line: Line,
    key: str,
    row: re.Match[str] | None,
    draft: Draft,
    *,
    capability: bool,
) -> None:
    values = item.values
    if capability and not key:
        _put_capability(values, line.text)
    elif not row or not key:
        if line.indent <= 8 and not line.text.startswith(UNLABELLED):
            refuse(line, draft)
    elif key == "subsystem":
        _put_pair(values, key, row[2])
    elif key not in VERBOSE:
        number = decimal(row[2]) if key == "numa_node" else None
        values[key] = row[2] if number is None else number


def _put_capability(values: Values, text: str) -> None:
    label = text.partition(":")[0]
    if label in ("LnkCap", "LnkSta") and (match := LINK.search(text)):
        key = key_of(label)
        values[f"{key}_speed_gtps"], values[f"{key}_width"] = float(match[1]), int(match[3])
        if match[2] or match[4]:
            values[f"{key}_note"] = match[2] or match[4]
    elif label in ("DevCap", "DevCtl") or text.startswith("MaxPayload"):
        match = PAYLOAD.search(text)
        if match:
            key = "dev_cap" if label == "DevCap" else "dev_ctl"
            values[f"{key}_max_payload_bytes"] = int(match[1])
    elif match := VPD.fullmatch(text):
        values[f"vpd_{match[1].lower()}"] = match[2]
