"""`mstfwmanager --query --query-format XML`: firmware of NVIDIA (Mellanox) adapters."""

import re
from xml.etree import ElementTree  # the input is bounded and defines no entities

from fieldtap_hardware.explain.model import Draft, Values
from fieldtap_hardware.explain.text import Recording, key_of

XML_START = re.compile(r"<(?:\?xml|Devices|!--)")


def parse(recording: Recording, draft: Draft) -> None:
    """One item a device, its subject the PCI address; versions as fw_current, fw_available."""
    lines = [line.text for line in recording.lines]
    first = next((i for i, text in enumerate(lines) if XML_START.match(text)), None)
    if first is None:
        draft.doubt("there is no XML in it: record `mstfwmanager --query --query-format XML`")
        return
    if any("<!" in text.replace("<!--", "") for text in lines):
        draft.doubt("its XML defines entities, which mstfwmanager's never does")
        return
    try:
        root = ElementTree.fromstring("\n".join(lines[first:]))  # noqa: S314 - see the import
    except (ElementTree.ParseError, ValueError):
        draft.doubt("its XML is garbled or cut off")
        return
    draft.end_proven = True
    if root.tag != "Devices":
        draft.doubt("its XML is not that of mstfwmanager")
        return
    draft.nothing_there = "mstfwmanager found no device"
    for device in root.iter("Device"):
        values = draft.open(device.get("pciName", "device"))
        _put(values, "", device.attrib)
        for entry in device:
            if entry.tag == "Versions":
                for version in entry:
                    _put(values, version.tag, version.attrib)
            elif entry.text and entry.text.strip() and len(entry) == 0:
                values[key_of(entry.tag)] = " ".join(entry.text.split())
        draft.require(draft.items[-1], ("psid", "fw_current"))


def _put(values: Values, prefix: str, attributes: dict[str, str]) -> None:
    for label, text in attributes.items():
        values[key_of(f"{prefix} {label}")] = text
