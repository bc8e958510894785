"""Service profiles of Y.1564, read from TOML that a user wrote."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from fieldtap.failures import BAD_USAGE, CommandError, naming
from fieldtap.linktest import quantities
from fieldtap.linktest.results import Service

Value = TypeVar("Value")

MAX_SERVICES = 64
MAX_FILE_BYTES = 1 << 20


class _Entry(Struct, forbid_unknown_fields=True, kw_only=True):
    """One [[service]] as it is written."""

    name: str
    size: int
    cir: str
    eir: str | None = None
    policed: bool = False
    margin: str | None = None
    vlan: int | None = None
    priority: int | None = None
    flr: str | None = None
    ftd: str | None = None
    fdv: str | None = None
    avail: str | None = None


class _File(Struct, forbid_unknown_fields=True):
    """The whole file."""

    service: list[_Entry]


def read(path: Path) -> tuple[Service, ...]:
    """Read the services in the file at `path`. Raises `CommandError` naming file and service."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise CommandError(f"--profile {path}: {error.strerror}", BAD_USAGE) from None
    with naming(f"--profile {path}"):
        return parse(data)


def parse(data: bytes) -> tuple[Service, ...]:
    """Read services from TOML. Raises `CommandError` naming the service."""
    try:
        written = msgspec.convert(tomllib.loads(data.decode()), _File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise CommandError(str(error), BAD_USAGE) from None
    except RecursionError:
        raise CommandError("tables are nested too deeply", BAD_USAGE) from None
    if not 1 <= len(written.service) <= MAX_SERVICES:
        text = f"begin each of the 1 to {MAX_SERVICES} services with a line [[service]]"
        raise CommandError(text, BAD_USAGE)
    services = tuple(_service(entry) for entry in written.service)
    names = [service.name for service in services]
    if len(set(names)) != len(names):
        raise CommandError("two services have the same name", BAD_USAGE)
    return services


def _service(entry: _Entry) -> Service:
    with naming(f"service {entry.name!r}"):
        return _converted(entry)


def _converted(entry: _Entry) -> Service:
    if not entry.name.isprintable() or not 1 <= len(entry.name) <= 64:
        raise CommandError("a name has 1 to 64 printable characters", BAD_USAGE)
    if entry.vlan is not None and not 1 <= entry.vlan <= 4094:
        raise CommandError(f"vlan {entry.vlan} is not from 1 to 4094", BAD_USAGE)
    if entry.priority is not None and not 0 <= entry.priority <= 7:
        raise CommandError(f"priority {entry.priority} is not from 0 to 7", BAD_USAGE)
    with naming("cir"):
        cir_bps = quantities.bit_rate_bps(entry.cir)
    if cir_bps <= 0:
        raise CommandError("a committed rate (cir) is above 0", BAD_USAGE)
    with naming("size"):
        frame_bytes = quantities.sizes(str(entry.size), entry.vlan)[0]
    return Service(
        name=entry.name,
        frame_bytes=frame_bytes,
        cir_bps=cir_bps,
        eir_bps=_read("eir", entry.eir, quantities.bit_rate_bps) or 0.0,
        policed=entry.policed,
        margin_bps=_read("margin", entry.margin, quantities.bit_rate_bps) or 0.0,
        vlan_id=entry.vlan,
        priority=entry.priority,
        flr_max=_read("flr", entry.flr, quantities.ratio),
        ftd_max_ns=_read("ftd", entry.ftd, _duration_ns),
        fdv_max_ns=_read("fdv", entry.fdv, _duration_ns),
        avail_min=_read("avail", entry.avail, quantities.ratio),
    )


def _read(field: str, text: str | None, reader: Callable[[str], Value]) -> Value | None:
    """Read what a field says; None where it is not there."""
    if text is None:
        return None
    with naming(field):
        return reader(text)


def _duration_ns(text: str) -> int:
    return round(1e9 * quantities.duration_s(text))
