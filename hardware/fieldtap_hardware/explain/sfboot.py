"""sfboot: boot and firmware settings of Solarflare adapters (sfutils 8.2 as recorded)."""

import re

from fieldtap_hardware.explain.model import Draft, Item, append
from fieldtap_hardware.explain.text import (
    WHOLE,
    Line,
    Recording,
    key_of,
    refuse,
)

BANNER = re.compile(r".*\b(?:sfboot|boot configuration) utility(?: \[(v[0-9][0-9.]*)\])?", re.I)
COPYRIGHT = re.compile(r"Copyright\b.*")
PORT = re.compile(r"([\w.@-]{1,32}):")
ROW = re.compile(r"([A-Z][A-Za-z0-9 ()/-]{0,40}?) {2,}(\S.*)")
NOTE = re.compile(r"\(([A-Z][A-Za-z ]{0,40}): (\S.*)\)")
NAME = re.compile(r"[\w.@-]{1,32}")
# SFN7000 and later have the first row, and then the last; older ones end with interrupt limits.
NEWER_ROW, NEWER_LAST = "physical_functions_on_this_port", "event_merge_timeout"
LISTED = "listed"


def parse(recording: Recording, draft: Draft) -> None:
    """One item an adapter, a key a setting; of `sfboot -l`, one item an adapter, {"listed": true}.

    Bare whole numbers are numbers; "5 seconds" and other settings are text as printed.
    """
    banner = None
    in_list = False
    for line in recording:
        if match := BANNER.fullmatch(line.text):
            banner = match[1]
        elif line.text == "Adapter list:":
            in_list = True
        elif in_list and line.indent and NAME.fullmatch(line.text):
            draft.open(line.text)[LISTED] = True
        elif (match := PORT.fullmatch(line.text)) and not line.indent:
            draft.open(match[1])
        elif not (_setting(line, draft) or COPYRIGHT.fullmatch(line.text)):
            refuse(line, draft)
    for item in draft.items:
        _judge(item, draft)
        if banner:
            item.values["utility_version"] = banner
    if banner and not draft.items:
        draft.doubt("it ends before the first adapter: cut off, or there is none")


def _setting(line: Line, draft: Draft) -> bool:
    match = ROW.fullmatch(line.text) if line.indent else NOTE.fullmatch(line.text)
    if match is None or not draft.items:
        return False
    values, key = draft.items[-1].values, key_of(match[1])
    if WHOLE.fullmatch(match[2]) and key not in values:
        values[key] = int(match[2])
    else:
        append(values, key, match[2])
    return True


def _judge(item: Item, draft: Draft) -> None:
    if LISTED in item.values:
        return
    draft.require(item, ("boot_image",))
    if NEWER_ROW in item.values or "firmware_variant" in item.values:
        draft.require(item, (NEWER_LAST,))
    elif not any("msi_x_interrupt_limit" in key for key in item.values):
        draft.doubt(f"{item.subject}: its settings are cut off")
