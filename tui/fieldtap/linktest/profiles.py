"""Service profiles of Y.1564, read from TOML that a user wrote."""

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from fieldtap.failures import BAD_USAGE, CommandError
from fieldtap.linktest import quantities
from fieldtap.linktest.results import Service

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
    try:
        return parse(data)
    except CommandError as error:
        raise CommandError(f"--profile {path}: {error}", BAD_USAGE) from None


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
    try:
        return _converted(entry)
    except CommandError as error:
        raise CommandError(f"service {entry.name!r}: {error}", BAD_USAGE) from None


def _converted(entry: _Entry) -> Service:
    if not entry.name.isprintable() or not 1 <= len(entry.name) <= 64:
        raise CommandError("a name has 1 to 64 printable characters", BAD_USAGE)
    if entry.vlan is not None and not 1 <= entry.vlan <= 4094:
        raise CommandError(f"vlan {entry.vlan} is not from 1 to 4094", BAD_USAGE)
    if entry.priority is not None and not 0 <= entry.priority <= 7:
        raise CommandError(f"priority {entry.priority} is not from 0 to 7", BAD_USAGE)
    cir_bps = quantities.bit_rate_bps(entry.cir)
    if cir_bps <= 0:
        raise CommandError("a committed rate (cir) is above 0", BAD_USAGE)
    return Service(
        name=entry.name,
        frame_bytes=quantities.sizes(str(entry.size), entry.vlan)[0],
        cir_bps=cir_bps,
        eir_bps=0.0 if entry.eir is None else quantities.bit_rate_bps(entry.eir),
        policed=entry.policed,
        margin_bps=0.0 if entry.margin is None else quantities.bit_rate_bps(entry.margin),
        vlan_id=entry.vlan,
        priority=entry.priority,
        flr_max=None if entry.flr is None else quantities.ratio(entry.flr),
        ftd_max_ns=_ns(entry.ftd),
        fdv_max_ns=_ns(entry.fdv),
        avail_min=None if entry.avail is None else quantities.ratio(entry.avail),
    )


def _ns(text: str | None) -> int | None:
    return None if text is None else round(1e9 * quantities.duration_s(text))
