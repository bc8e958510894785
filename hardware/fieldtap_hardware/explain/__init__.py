"""Recorded outputs of tools as values: `explain(tool, bytes)`.

A module a tool; `TOOLS` has them by the name that `fieldtap check --explain` takes. Each parser
turns a `text.Recording` into items of a `model.Draft` and doubts whatever it does not understand,
so that an output which is cut off, garbled or in another language is never taken for whole. None
raises anything, whatever it is given.
"""

from collections.abc import Callable

from fieldtap_hardware.explain import (
    boltctl,
    bpctl,
    devlink,
    dmesg,
    ethtool_driver,
    ethtool_link,
    ethtool_module,
    ethtool_stamps,
    flint,
    fwupd,
    lspci,
    mstfwmanager,
    nvme,
    nvmupdate,
    pmc,
    ptp_log,
    sensors,
    sfboot,
    sfkey,
    sfupdate,
    smartctl,
    xdp_features,
)
from fieldtap_hardware.explain.model import Draft, Explanation, Item
from fieldtap_hardware.explain.text import MAX_BYTES, NotTextError, Recording, read_recording

__all__ = ["MAX_BYTES", "TOOLS", "Explanation", "Item", "explain"]

TOOLS: dict[str, Callable[[Recording, Draft], None]] = {
    "boltctl": boltctl.parse,
    "bpctl": bpctl.parse,
    "devlink": devlink.parse,
    "dmesg": dmesg.parse,
    "ethtool": ethtool_link.parse,
    "ethtool-T": ethtool_stamps.parse,
    "ethtool-i": ethtool_driver.parse,
    "ethtool-m": ethtool_module.parse,
    "flint": flint.parse,
    "fwupd": fwupd.parse,
    "lspci": lspci.parse,
    "mstfwmanager": mstfwmanager.parse,
    "nvme": nvme.parse,
    "nvmupdate": nvmupdate.parse,
    "pmc": pmc.parse,
    "ptp-log": ptp_log.parse,
    "sensors": sensors.parse,
    "sfboot": sfboot.parse,
    "sfkey": sfkey.parse,
    "sfupdate": sfupdate.parse,
    "smartctl": smartctl.parse,
    "xdp-loader": xdp_features.parse,
}


def explain(tool: str, raw: bytes) -> Explanation:
    """Read a recorded output of `tool`, a key of `TOOLS`. Raises nothing for what is in it."""
    draft = Draft()
    try:
        recording = read_recording(raw)
    except NotTextError as error:
        draft.doubt(str(error))
        return draft.explanation(tool)
    TOOLS[tool](recording, draft)
    if not recording.ended and not draft.end_proven:
        draft.doubt("its last line has no end: it may be cut off")
    return draft.explanation(tool)
