"""`xdp-loader features`: what a driver's XDP can do (xdp-tools, xdp-loader.c)."""

import re

from fieldtap_hardware.explain.model import Draft, Item, Values
from fieldtap_hardware.explain.text import Recording, key_of, note_error, refuse

ROW = re.compile(r"(NETDEV_XDP_ACT_[A-Z_]+): +(yes|no)")


def parse(recording: Recording, draft: Draft) -> None:
    """One item, "port", for its name is not printed; words as printed under netdev_xdp_act_*."""
    values: Values = {}
    for line in recording:
        if match := ROW.fullmatch(line.text):
            values[key_of(match[1])] = match[2]
            draft.end_proven = True
        elif not note_error(line, draft):
            refuse(line, draft)
    if values:
        draft.items.append(Item("port", values))
        draft.require(draft.items[0], ("netdev_xdp_act_basic", "netdev_xdp_act_ndo_xmit_sg"))
