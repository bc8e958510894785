"""`devlink dev info`, as text or JSON: firmware that runs, and that is stored (iproute2)."""

import re

from fieldtap_hardware.explain.model import Draft, Item, Values
from fieldtap_hardware.explain.text import (
    Line,
    Recording,
    key_of,
    read_json,
    refuse,
    scalar,
    starts_json,
)

HANDLE = re.compile(r"([a-z][\w-]{0,30}/[\w:.@-]{1,64}):")
LABEL = r"[a-z][\w.-]{0,60}"
VALUE = r"[\w .,:+/()@-]*"
ROW = re.compile(rf"({LABEL})(?: ({VALUE}))?")
SECTIONS = ("fixed", "running", "stored")
NOTHING = "devlink knows no device"


def parse(recording: Recording, draft: Draft) -> None:
    """One item a device, its subject devlink's handle, "pci/0000:08:00.0".

    Versions carry their section: running_fw_version, stored_fw_version, fixed_fw_psid.
    """
    if starts_json(recording):
        _parse_json(recording, draft)
    else:
        _parse_rows(recording, draft)
    for item in draft.items:
        draft.require(item, ("driver",))


def _parse_rows(recording: Recording, draft: Draft) -> None:
    section = ""
    for line in recording:
        if (match := HANDLE.fullmatch(line.text)) and not line.indent:
            _judge(draft)
            draft.open(match[1])
            section = ""
        elif line.text.removesuffix(":") in ("versions", *SECTIONS) and draft.items:
            section = line.text.removesuffix(":")
            draft.items[-1].values[section] = None
        elif not (draft.items and line.indent and _row(draft.items[-1].values, section, line)):
            refuse(line, draft)
    _judge(draft)


def _row(values: Values, section: str, line: Line) -> bool:
    match = ROW.fullmatch(line.text)
    if match is None or (match[2] is None and line.text.endswith(":")):
        return False
    prefix = f"{section} " if section in SECTIONS else ""
    values[key_of(prefix + match[1])] = match[2] or ""
    return True


def _judge(draft: Draft) -> None:
    """Doubt a device that ends within its versions; take its headings out of the values."""
    if not draft.items:
        return
    item = draft.items[-1]
    headings = [key for key in ("versions", *SECTIONS) if item.values.pop(key, "") is None]
    for heading in headings:
        if heading in SECTIONS and not any(key.startswith(f"{heading}_") for key in item.values):
            draft.doubt(f"{item.subject}: nothing under {heading!r}: cut off")
    has_versions = "running" in headings or "stored" in headings
    if not has_versions and (headings or item.subject.startswith("pci/")):
        draft.doubt(f"{item.subject}: its versions are cut off")


def _parse_json(recording: Recording, draft: Draft) -> None:
    value = read_json(recording, draft)
    devices = value.get("info") if isinstance(value, dict) else None
    if not isinstance(devices, dict):
        if not draft.doubts:
            draft.doubt("its JSON is not that of `devlink dev info`")
        return
    draft.nothing_there = NOTHING
    for handle, device in devices.items():
        if not isinstance(device, dict) or not HANDLE.fullmatch(f"{handle}:"):
            draft.doubt("one of its devices is garbled")
            continue
        draft.items.append(Item(handle, _json_values(device, draft)))


def _json_values(device: dict[str, object], draft: Draft) -> Values:
    values: Values = {}
    versions = device.get("versions", {})
    sections = versions if isinstance(versions, dict) else {}
    if not set(sections) <= set(SECTIONS):
        draft.doubt("its versions have sections that devlink does not know")
    rows = {label: entry for label, entry in device.items() if label != "versions"}
    for section, entries in (("", rows), *sections.items()):
        for label, entry in entries.items() if isinstance(entries, dict) else ():
            plain = scalar(entry)
            if plain is None or not ROW.fullmatch(f"{label} {plain}"):
                draft.doubt(f"the value of {key_of(label)!r} is garbled")
            else:
                values[key_of(f"{section} {label}")] = plain
    return values
