"""`ethtool PORT`: link settings, in words as printed (ethtool.c, netlink/settings.c)."""

import re

from fieldtap_hardware.explain.model import Draft, Values, append
from fieldtap_hardware.explain.text import Recording, key_of, refuse

PORT = re.compile(r"Settings for (\S{1,32}):")
ROW = re.compile(r"([A-Z][\w -]{1,50}):(?: +(\S.*))?")
MODES = ("link_modes", "ports", "fec_modes")
LINK = re.compile(r"yes|no(?: \(.+\))?")
WORDS = re.compile(r"[\w/.+-]+(?: [\w/.+-]+)*")
SPEED = re.compile(r"([0-9]{1,9})Mb/s|Unknown!.*")


def parse(recording: Recording, draft: Draft) -> None:
    """One item a port; modes and ports are lists. A speed is also a number, speed_bps."""
    key = ""
    for line in recording:
        if match := PORT.fullmatch(line.text):
            draft.open(match[1])
        elif not draft.items:
            refuse(line, draft)
        elif match := ROW.fullmatch(line.text):
            key = key_of(match[1])
            _put(draft.items[-1].values, key, match[2] or "")
        elif not _go_on(draft.items[-1].values, key, line.text):
            refuse(line, draft)
        draft.end_proven = key == "link_detected"
    for item in draft.items:
        if not LINK.fullmatch(str(item.values.get("link_detected"))):
            draft.doubt(f"{item.subject}: its link state is garbled or cut off")
        if "supported_link_modes" not in item.values and "duplex" not in item.values:
            draft.doubt(f"{item.subject}: its link modes are garbled or in another language")
        if "speed" in item.values and not SPEED.fullmatch(str(item.values["speed"])):
            draft.doubt(f"{item.subject}: its speed is garbled")


def _put(values: Values, key: str, text: str) -> None:
    values[key] = text
    if key.endswith(MODES) and text != "Not reported":
        values[key] = text.strip("[ ]").split()
    speed = SPEED.fullmatch(text) if key == "speed" else None
    if speed and speed[1]:
        values["speed_bps"] = int(speed[1]) * 1_000_000


def _go_on(values: Values, key: str, text: str) -> bool:
    """Take a row that goes on in the line below; False where none does."""
    before = values.get(key)
    if not WORDS.fullmatch(text):
        return False
    if isinstance(before, list):
        for word in text.split():
            append(values, key, word)
    elif key == "current_message_level":
        values["current_message_words"] = list(text.split())
    else:
        return key in ("link_partner_advertised_link_modes",)
    return True
