"""`fwupdmgr get-devices --json` (and fwupdagent's): devices and the firmware they run."""

import re

from fieldtap_hardware.explain.model import Draft, Values
from fieldtap_hardware.explain.text import Recording, key_of, read_json, scalar, starts_json

LABEL = re.compile(r"[A-Z][A-Za-z0-9]+")
SHAPES = {
    "DeviceId": re.compile(r"[0-9a-f]{40}"),
    "Guid": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "Flags": re.compile(r"[a-z0-9-]+"),
    "Plugin": re.compile(r"[a-z0-9_-]+"),
    "Protocol": re.compile(r"[\w.-]+"),
    "Version": re.compile(r"[\w .:+~()/-]+"),
    "VersionFormat": re.compile(r"[a-z0-9-]+"),
    "VendorId": re.compile(r"[\w:.|, ()-]+"),
    "VendorIds": re.compile(r"[\w:., ()-]+"),
}


def parse(recording: Recording, draft: Draft) -> None:
    """One item a device, its subject fwupd's DeviceId.

    Lists of words stay lists; of releases only the versions are kept, as release_versions.
    """
    if not starts_json(recording):
        draft.doubt("there is no JSON in it: record `fwupdmgr get-devices --json`")
        return
    value = read_json(recording, draft)
    devices = value.get("Devices") if isinstance(value, dict) else None
    if not isinstance(devices, list):
        if isinstance(value, dict) and "Error" in value:
            draft.doubt("fwupd could not list its devices")
        elif not draft.doubts:
            draft.doubt("its JSON is not that of fwupd")
        return
    draft.nothing_there = "fwupd knows no device"
    for device in devices:
        identity = device.get("DeviceId") if isinstance(device, dict) else None
        if not isinstance(identity, str):
            draft.doubt("one of its devices has no DeviceId")
            continue
        values = draft.open(identity)
        for label, entry in device.items():
            if not (LABEL.fullmatch(label) and _put(values, label, entry)):
                draft.doubt(f"{identity[:40]}: {key_of(label)!r} is garbled")
        draft.require(draft.items[-1], ("name", "plugin"))


def _put(values: Values, label: str, entry: object) -> bool:
    """Put one entry of a device; False where it has not the shape that it must have."""
    key, shape = key_of(label), SHAPES.get(label)
    if label == "Releases":
        releases = entry if isinstance(entry, list) else []
        versions = [release.get("Version") for release in releases if isinstance(release, dict)]
        values["release_versions"] = [text for text in versions if isinstance(text, str)]
        return True
    texts = entry if isinstance(entry, list) else [entry]
    words = [text for text in texts if isinstance(text, str)]
    if not all(word.isprintable() and (not shape or shape.fullmatch(word)) for word in words):
        return False
    plain = scalar(entry)
    if isinstance(entry, list):
        values[key] = words
    elif plain is not None:
        values[key] = plain
    return True
