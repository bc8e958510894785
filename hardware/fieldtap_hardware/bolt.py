"""Will an enclosure be let in again by itself? Asked of bolt over D-Bus, through busctl.

bolt keeps the list of devices that their owner allowed for good (interface
org.freedesktop.bolt1.Device). It is asked only while it runs, and never started for it.
"""

import re

import msgspec
from msgspec import Struct

from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.verdicts import Unreadable

UNIQUE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GET_ALL = ("busctl", "--system", "--json=short", "--auto-start=no", "call")
SERVICE = "org.freedesktop.bolt"
DEVICES = "/org/freedesktop/bolt/devices/"
PROPERTIES = ("org.freedesktop.DBus.Properties", "GetAll", "s", "org.freedesktop.bolt1.Device")


class Enrolment(Struct, frozen=True):
    """What bolt keeps of a device."""

    stored: bool
    policy: str  # "auto", "iommu": only where the IOMMU protects; "manual", "default"


class _Flag(Struct, frozen=True):
    data: bool


class _Words(Struct, frozen=True):
    data: str


class _Device(Struct, frozen=True, rename="pascal"):
    stored: _Flag
    policy: _Words


class _Reply(Struct, frozen=True):
    """A variant dictionary as busctl prints it; other properties are passed over."""

    data: tuple[_Device]


def read_enrolment(unique_id: str | None, ask: Ask = ask_program) -> Enrolment | None:
    """What bolt keeps of the device; None where bolt does not run or does not know it."""
    if unique_id is None or not UNIQUE_ID.fullmatch(unique_id):
        return None
    path = DEVICES + unique_id.replace("-", "_")
    answer = ask((*GET_ALL, SERVICE, path, *PROPERTIES))
    return None if isinstance(answer, Unreadable) else parse_enrolment(answer)


def parse_enrolment(answer: bytes) -> Enrolment | None:
    """Parse busctl's JSON; None where it is not that of a device."""
    try:
        (device,) = msgspec.json.decode(answer, type=_Reply).data
    except (msgspec.DecodeError, RecursionError):
        return None
    return Enrolment(device.stored.data, device.policy.data)
