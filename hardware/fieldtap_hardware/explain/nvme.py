"""`nvme smart-log DEVICE -o json`: what an NVMe drive says of its health (nvme-cli)."""

from fieldtap_hardware.explain.model import Draft
from fieldtap_hardware.explain.text import Recording, decimal, key_of, read_json, scalar

NEEDED = ("critical_warning", "media_errors")


def parse(recording: Recording, draft: Draft) -> None:
    """One item, "drive": the log's own names; the temperature is in kelvins, as printed.

    Newer versions print the critical warning as an object, and large counts as text.
    """
    document = read_json(recording, draft)
    if not isinstance(document, dict):
        draft.doubt("it is not JSON of nvme's")
        return
    values = draft.open("drive")
    for key, entry in document.items():
        value = scalar(entry.get("value") if isinstance(entry, dict) else entry)
        number = decimal(value) if isinstance(value, str) else value
        if isinstance(number, int | float) and key_of(str(key)):
            values[key_of(str(key))] = number
    draft.require(draft.items[0], NEEDED)
