"""`ethtool -i`: the driver of a port and its firmware string (ethtool.c, dump_drvinfo)."""

import re

from fieldtap_hardware.explain.model import Draft, Item
from fieldtap_hardware.explain.text import Recording, key_of, refuse

ROW = re.compile(
    r"(driver|version|firmware-version|expansion-rom-version|bus-info|supports-[a-z-]{1,40}):"
    r"(?: +(\S.*))?"
)
SHAPES = {
    "driver": re.compile(r"[\w.+-]{1,64}"),
    "bus_info": re.compile(r"[\w.:@/+-]{0,64}"),
}
SUPPORTS = re.compile(r"yes|no")
LAST = "supports_priv_flags"


def parse(recording: Recording, draft: Draft) -> None:
    """One item a port, its subject the bus address, for the port's name is not printed."""
    items: list[Item] = []
    for line in recording:
        match = ROW.fullmatch(line.text)
        if match is None:
            refuse(line, draft)
            continue
        key, value = key_of(match[1]), match[2] or ""
        if not items or key in items[-1].values:
            items.append(Item("", {}))
        shape = SUPPORTS if key.startswith("supports_") else SHAPES.get(key)
        if shape and not shape.fullmatch(value):
            refuse(line, draft)
        else:
            items[-1].values[key] = value
            draft.end_proven = key == LAST
    for item in items:
        subject = item.text("bus_info", "driver") or "port"
        draft.items.append(Item(subject, item.values))
        _judge(draft.items[-1], draft)


def _judge(item: Item, draft: Draft) -> None:
    draft.require(item, ("driver", "version", "firmware_version", "bus_info"))
    # An excerpt of what is wanted is whole; a list of abilities that was begun must be so too, and
    # an ethtool that knows expansion ROMs prints one.
    begun = "expansion_rom_version" in item.values
    if begun or any(key.startswith("supports_") for key in item.values):
        draft.require(item, (LAST,))
