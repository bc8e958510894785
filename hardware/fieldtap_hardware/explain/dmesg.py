"""The kernel's words about Solarflare adapters: part number, and why there is no clock."""

import re

from fieldtap_hardware.explain.model import Draft, Values, append
from fieldtap_hardware.explain.text import Recording

LINE = re.compile(
    r"\[ *([0-9]{1,12}\.[0-9]{6})\] (sfc\w*|xilinx_efct) "
    r"([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])"
    r"(?: [^:]*)?: (\S.*)"
)
STAMPED = re.compile(r"\[ *[0-9]+\.[0-9]{6}\] .*")
PART = re.compile(r"Part Number : (\S+)")


def parse(recording: Recording, draft: Draft) -> None:
    """One item an adapter, its subject the PCI address; other devices' lines are passed over."""
    known: dict[str, Values] = {}
    for line in recording:
        match = LINE.fullmatch(line.text)
        if match is None:
            if not STAMPED.fullmatch(line.text):
                draft.doubt(f"line {line.number} is not a line of the kernel's log")
            continue
        if match[3] not in known:
            known[match[3]] = draft.open(match[3])
        values = known[match[3]]
        values["driver"] = match[2]
        if part := PART.fullmatch(match[4]):
            values["part_number"] = part[1]
        elif match[4] == "no PTP support":
            values["ptp_support"] = "no"
        else:
            append(values, "messages", match[4])
        values["last_s"] = float(match[1])
    if not draft.items and not draft.doubts:
        draft.nothing_there = "the kernel says nothing of a Solarflare adapter"
