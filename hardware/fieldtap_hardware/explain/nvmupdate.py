"""nvmupdate64e's inventory table: adapters of Intel and the version of their NVM."""

import re

from fieldtap_hardware.explain.model import Draft, Values
from fieldtap_hardware.explain.text import Recording, key_of, note_error, refuse

RULER = re.compile(r"=+(?: +=+){3,8}")
ENTRY = re.compile(r"([0-9]{1,3})\) .*")
VERSION = re.compile(r"[0-9a-f.]+ ?\([0-9a-f.]+\)|[0-9a-f]+(?:\.[0-9a-f]+)*|N/A|", re.IGNORECASE)
SUBJECT_COLUMN = "s_b"


def parse(recording: Recording, draft: Draft) -> None:
    """One item an adapter, its subject segment and bus as printed, "00:003"."""
    before = ""
    columns: list[tuple[str, slice]] = []
    for line in recording:
        text = " " * line.indent + line.text
        if RULER.fullmatch(line.text):
            columns = _columns(before, text)
        elif not columns:
            note_error(line, draft)
            before = text  # the banner, then the headings
        elif ENTRY.fullmatch(line.text):
            _put(draft.open(f"adapter {line.text.partition(')')[0]}"), columns, text)
        elif line.indent and draft.items:
            _put(draft.items[-1].values, columns, text)
        elif line.text.startswith(("Options:", "Enter")):
            break  # the menu of the interactive tool
        elif draft.items:
            refuse(line, draft)
    if not columns:
        return
    for number, item in enumerate(draft.items):
        bus = item.values.get(SUBJECT_COLUMN)
        draft.items[number] = type(item)(str(bus or item.subject), item.values)
        draft.require(draft.items[number], ("description", "ver_hex", "dev_id", "status"))
        if not VERSION.fullmatch(str(item.values.get("ver_hex", ""))):
            draft.doubt(f"{draft.items[number].subject}: its version is garbled")


def _columns(headings: str, ruler: str) -> list[tuple[str, slice]]:
    """Key and place of each column but the first, which numbers the rows."""
    spans = [match.span() for match in re.finditer("=+", ruler)][1:]
    starts = [start for start, _ in spans]
    ends: list[int | None] = [*starts[1:], None]
    slices = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    keys = [key_of(headings[place]) for place in slices]
    return list(zip(keys, slices, strict=True))


def _put(values: Values, columns: list[tuple[str, slice]], text: str) -> None:
    """Add a row's cells; a cell may go on in the row below."""
    for key, place in columns:
        cell = text[place].strip()
        if key and cell:
            values[key] = f"{values[key]} {cell}" if values.get(key) else cell
