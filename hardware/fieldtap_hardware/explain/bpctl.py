"""`bpctl_util PORT get_...`: what a Silicom bypass adapter is set to do.

Sentences are those of the program's source (bp_msg.h of bpctl, Silicom); they do not name the port.
"""

import re

from fieldtap_hardware.explain.model import Draft
from fieldtap_hardware.explain.text import Recording, refuse

INTERFACE = "interface"
WHEN = {"": "now", " at power off state": "power_off", " at power up state": "power_up"}
MODE = re.compile(
    r"The interface is in the (non-)?(Bypass|TAP|Disconnect(?: Port)?) mode"
    r"( at power off state| at power up state|)\."
)
EXPIRY = re.compile(
    r"When WDT timeout occurs, the interface will be in the (TAP|Bypass|Disconnect) mode\."
)
TIMEOUT = re.compile(r"WDT is enabled with ([0-9]{1,9}) ms timeout value\.")
# Sentences without a figure, and what each says.
SAID: dict[str, tuple[str, str | bool | int]] = {
    "The interface is in the Normal mode.": ("now_normal", True),
    "The interface is in Standard NIC mode.": ("standard_nic", True),
    "The interface is not in Standard NIC mode.": ("standard_nic", False),
    "The interface is a control interface.": ("slave", False),
    "The interface is a slave interface.": ("slave", True),
    "Bypass mode is enabled.": ("bypass_possible", True),
    "Bypass mode is disabled.": ("bypass_possible", False),
    "WDT is disabled.": ("watchdog_ms", 0),
    "WDT has expired.": ("watchdog_expired", True),
}
SLAVE = "The interface is a slave interface or "
CANNOT = ("The interface is not capable of the operation.", "The interface doesn't support ")


def parse(recording: Recording, draft: Draft) -> None:
    """One item: now_bypass, power_off_bypass, power_up_disconnect, ... are truth values."""
    for line in recording:
        values = draft.items[-1].values if draft.items else draft.open(INTERFACE)
        if match := MODE.fullmatch(line.text):
            mode = match[2].lower().replace(" ", "_")
            values[f"{WHEN[match[3]]}_{mode}"] = match[1] is None
        elif match := EXPIRY.fullmatch(line.text):
            values["watchdog_expiry"] = match[1]
        elif match := TIMEOUT.fullmatch(line.text):
            values["watchdog_ms"] = int(match[1])
        elif line.text in SAID:
            key, value = SAID[line.text]
            values[key] = value
        elif line.text.startswith(SLAVE):
            values["slave_or_not_capable"] = True
            draft.doubt(f"line {line.number}: the control port of the pair must be asked")
        elif line.text.startswith(CANNOT):
            draft.doubt(f"line {line.number}: the adapter cannot do what was asked")
        else:
            refuse(line, draft)
