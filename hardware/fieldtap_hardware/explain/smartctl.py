"""`smartctl -j -a DEVICE`: what a drive says of its health (smartmontools 7 and later)."""

from fieldtap_hardware.explain.model import Draft, Values
from fieldtap_hardware.explain.text import Recording, key_of, read_json, scalar

# Sections that are taken whole; serial numbers and world-wide names are in none of them.
SECTIONS = (
    "smart_status",
    "temperature",
    "power_on_time",
    "nvme_smart_health_information_log",
)
LABELS = ("model_name", "firmware_version", "rotation_rate")
MAX_ATTRIBUTES = 256  # an identifier has 8 bits
OPEN_FAILED = 0b11  # bits of the exit status: bad command line, device not opened


def parse(recording: Recording, draft: Draft) -> None:
    """One item: smart_status_passed, temperature_current, nvme's figures, ATA attributes."""
    document = read_json(recording, draft)
    if not isinstance(document, dict) or "smartctl" not in document:
        draft.doubt("it is not JSON of smartctl's")
        return
    values = draft.open(_device(document))
    _read_program(document["smartctl"], draft)
    for label in LABELS:
        if (value := scalar(document.get(label))) is not None:
            values[label] = value
    for section in SECTIONS:
        entries = document.get(section)
        if isinstance(entries, dict):
            _read_section(values, section.removesuffix("_information_log"), entries)
    _read_attributes(values, document.get("ata_smart_attributes"))
    if "smart_status_passed" not in values:
        draft.doubt("the drive's own verdict, smart_status, is not in it")


def _device(document: dict[str, object]) -> str:
    device = document.get("device")
    name = scalar(device.get("name")) if isinstance(device, dict) else None
    return str(name) if name else "drive"


def _read_program(program: object, draft: Draft) -> None:
    """Doubt what smartctl itself says went wrong."""
    if not isinstance(program, dict):
        return
    status = program.get("exit_status")
    if isinstance(status, int) and status & OPEN_FAILED:
        messages = program.get("messages")
        first = messages[0] if isinstance(messages, list) and messages else None
        words = scalar(first.get("string")) if isinstance(first, dict) else None
        draft.doubt(f"smartctl could not ask the drive: {words or 'it says no more'}")


def _read_section(values: Values, section: str, entries: dict[str, object]) -> None:
    for key, entry in entries.items():
        value = scalar(entry)
        if value is not None:
            values[f"{section}_{key_of(str(key))}"] = value


def _read_attributes(values: Values, attributes: object) -> None:
    """The raw value of each attribute, and "NOW" or "in_the_past" where one failed."""
    table = attributes.get("table") if isinstance(attributes, dict) else None
    for row in table[:MAX_ATTRIBUTES] if isinstance(table, list) else ():
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            continue
        name, raw = key_of(row["name"]), row.get("raw")
        value = scalar(raw.get("value")) if isinstance(raw, dict) else None
        if name and isinstance(value, int):
            values[f"attribute_{name}"] = value
        if name and (failed := scalar(row.get("when_failed"))):
            values[f"attribute_{name}_failed"] = failed
