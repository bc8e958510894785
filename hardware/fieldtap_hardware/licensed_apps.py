"""What Solarflare licences are called, and which feature of ours each one enables.

Names and bits: LICENSED_APP_ID_* and LICENSED_V3_FEATURES_* of the firmware interface
(mcdi_pcol.h of the sfc driver). What needs them: sfptpd's CHANGELOG (2.1.0, 2.2.1) for adapter
timestamps, SolarCapture's release notes (1.6.9) for its stamps, the driver for port sniffing.
"""

import re
from enum import StrEnum

from msgspec import Struct


class Feature(StrEnum):
    """A feature of ours that a licence enables."""

    TIMESTAMPS = "timestamps"
    SNIFFING = "sniffing"
    ONLOAD = "onload"
    SOLARCAPTURE = "solarcapture"


class LicensedApp(Struct, frozen=True):
    """A thing that is licensed: by application bit (7000), or by feature bit (8000 and later)."""

    name: str
    bit: int
    feature: Feature | None  # None: licensed, but of no use to us


APPS = (
    LicensedApp("ONLOAD", 0x1, Feature.ONLOAD),
    LicensedApp("PTP", 0x2, Feature.TIMESTAMPS),
    LicensedApp("SOLARCAPTURE_PRO", 0x4, Feature.SOLARCAPTURE),
    LicensedApp("SOLARSECURE", 0x8, None),
    LicensedApp("PERF_MONITOR", 0x10, None),
    LicensedApp("SOLARCAPTURE_LIVE", 0x20, Feature.SOLARCAPTURE),
    LicensedApp("CAPTURE_SOLARSYSTEM", 0x40, Feature.SOLARCAPTURE),
    LicensedApp("NETWORK_ACCESS_CONTROL", 0x80, None),
    LicensedApp("TCP_DIRECT", 0x100, None),
    LicensedApp("LOW_LATENCY", 0x200, None),
    LicensedApp("SOLARCAPTURE_TAP", 0x400, Feature.SOLARCAPTURE),
    LicensedApp("CAPTURE_SOLARSYSTEM_40G", 0x800, Feature.SOLARCAPTURE),
    LicensedApp("CAPTURE_SOLARSYSTEM_1G", 0x1000, Feature.SOLARCAPTURE),
    LicensedApp("SCALEOUT_ONLOAD", 0x2000, Feature.ONLOAD),
    LicensedApp("DSHBRD", 0x4000, None),
    LicensedApp("SCATRD", 0x8000, None),
)

V3_FEATURES = (
    LicensedApp("RX_TIMESTAMPS", 1 << 4, Feature.TIMESTAMPS),
    LicensedApp("TX_TIMESTAMPS", 1 << 5, Feature.TIMESTAMPS),
    LicensedApp("RX_SNIFF", 1 << 6, Feature.SNIFFING),
    LicensedApp("TX_SNIFF", 1 << 7, Feature.SNIFFING),
)

# Names that people and brochures use for the above.
ALIASES = {
    "OPENONLOAD": "ONLOAD",
    "ENTERPRISEONLOAD": "ONLOAD",
    "PRECISION_TIME": "PTP",
    "PRECISION_TIME_PROTOCOL": "PTP",
    "SOLARCAPTURE": "SOLARCAPTURE_PRO",
    "TCPDIRECT": "TCP_DIRECT",
    "PERFORMANCE_MONITOR": "PERF_MONITOR",
}
BY_NAME = {app.name: app for app in (*APPS, *V3_FEATURES)}
LONGEST_WORDS = 3


def find_apps(text: str) -> list[LicensedApp]:
    """The applications that a text names, in its order; the longest name counts."""
    words = [word.upper() for word in re.split(r"[^A-Za-z0-9]+", text[:1000]) if word]
    found, at = [], 0
    while at < len(words):
        for length in range(min(LONGEST_WORDS, len(words) - at), 0, -1):
            name = "_".join(words[at : at + length])
            app = BY_NAME.get(ALIASES.get(name, name))
            if app:
                found.append(app)
                at += length - 1
                break
        at += 1
    return found
