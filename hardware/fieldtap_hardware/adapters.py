"""The catalogue of adapters: TOML files, a family each, and finding a port's adapter in them.

Files come with the program (`catalogue/adapters/`); whoever has other adapters puts files of the
same form into `/etc/fieldtap/catalogue.d` or `$FIELDTAP_CATALOGUE_DIR`, which win over ours. Every
claim names its source; what is not known is left out or called "unknown". docs/catalogue.md has the
form.
"""

import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from fieldtap_hardware.licensed_apps import Feature
from fieldtap_hardware.ports import Port

USER_DIR = Path("/etc/fieldtap/catalogue.d")
USER_DIR_VARIABLE = "FIELDTAP_CATALOGUE_DIR"
MAX_BYTES = 1 << 20

PciId = Annotated[str, Meta(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]
Words = Annotated[str, Meta(min_length=1, max_length=500)]
Version = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,7}$")]


class CatalogueError(Exception):
    """A file cannot be used; the text says where and why, in one line."""


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file, in which a misspelt key is an error."""


class Chip(_Entry, frozen=True, kw_only=True):
    """One PCI device, and the boards that carry it by subsystem id.

    `series` are ids that several boards share. Without either, the chip is all there is to know.
    """

    pci: PciId
    name: Words
    boards: dict[PciId, Words] = {}
    series: dict[PciId, Words] = {}


class Support(_Entry, frozen=True, kw_only=True):
    """Whether somebody still mends driver and firmware."""

    state: Literal["supported", "ended", "unknown"]
    evidence: Words
    source: Words
    remedy: Words | None = None  # what to do where it ended


class Timestamps(_Entry, frozen=True, kw_only=True):
    """Which received frames the adapter can stamp; the driver's own word counts at run time."""

    receive: Literal["every frame", "PTP only", "none", "unknown"]
    source: Words


class Minimum(_Entry, frozen=True, kw_only=True):
    """The oldest firmware that is good enough for one use of it."""

    use: Words  # "capture", "timestamps", "DPDK", ...
    version: Version
    source: Words


class Firmware(_Entry, frozen=True, kw_only=True):
    """How a firmware string is read, and what it must be."""

    pattern: Words  # a regular expression whose one group is the version
    tool: Words | None = None  # that updates it
    minimum: tuple[Minimum, ...] = ()
    any_version: Words | None = None  # why any will do, in place of a minimum
    newest: Version | None = None  # nothing above it was looked at
    source: Words


class KnownBad(_Entry, frozen=True, kw_only=True):
    """Versions of driver or firmware that do harm: a range, ends included, or a pattern."""

    what: Literal["driver", "firmware"]
    first: Version | None = None
    last: Version | None = None
    pattern: Words | None = None
    verdict: Literal["warn", "fail"]
    effect: Words
    remedy: Words
    source: Words


class LicensedFeature(_Entry, frozen=True, kw_only=True):
    """A feature of ours that needs a key, and what proves that it is there."""

    feature: Feature
    key: Words
    proven: Words
    built_in: tuple[Words, ...] = ()  # boards that need none
    source: Words


class Backend(_Entry, frozen=True, kw_only=True):
    """Whether one of the engine's back ends captures from the adapter, and in which mode."""

    name: Literal["afpacket", "afxdp", "dpdk"]
    works: Literal["yes", "no", "unknown"]
    mode: Literal["zero-copy", "native copy", "generic copy"] | None = None
    source: Words


class Family(_Entry, frozen=True, kw_only=True):
    """Adapters that share a driver and a way to keep their firmware: one file."""

    family: Words
    vendor: Words
    drivers: Annotated[tuple[Words, ...], Meta(min_length=1)]
    bus: Words | None = None  # a whole bus whose ports are meant, where they may lack a PCI id
    chip: tuple[Chip, ...]
    support: Support
    timestamps: Timestamps
    firmware: Firmware | None = None  # None: it has none of its own
    known_bad: tuple[KnownBad, ...] = ()
    license: tuple[LicensedFeature, ...] = ()
    backend: Annotated[tuple[Backend, ...], Meta(min_length=1)]


class Identity(Struct, frozen=True):
    """What the adapter of a port is."""

    family: Family
    chip: Chip | None
    board: str | None  # or the series, where only that is told
    exact: bool  # nothing that matters is left open

    @property
    def title(self) -> str:
        parts = (self.family.family, self.chip.name if self.chip else None, self.board)
        return ", ".join(part for part in parts if part)


class Catalogue(Struct, frozen=True):
    """All families, the user's first, and those of the user's files that cannot be used."""

    families: tuple[Family, ...]
    unusable: tuple[Path, ...] = ()


def parse_family(text: str) -> Family:
    """Parse and check one file. Raises `CatalogueError` with what is wrong."""
    try:
        family = msgspec.convert(tomllib.loads(text), Family)
    except (ValueError, RecursionError) as error:  # of TOML and of the form
        raise CatalogueError(str(error)) from error
    for index, chip in enumerate(family.chip):
        if both := chip.boards.keys() & chip.series.keys():
            raise CatalogueError(f"chip[{index}]: {min(both)} is both a board and a series")
    repeated = [pci for pci, times in Counter(one.pci for one in family.chip).items() if times > 1]
    if repeated:
        raise CatalogueError(f"chip: {repeated[0]} is there twice")
    if family.firmware is not None:
        _check_firmware(family.firmware)
    for index, bad in enumerate(family.known_bad):
        if (bad.pattern is None) == (bad.first is None or bad.last is None):
            raise CatalogueError(f"known_bad[{index}]: give `first` and `last`, or `pattern`")
        if bad.pattern is not None:
            _compile(bad.pattern, f"known_bad[{index}].pattern")
    if family.support.state == "ended" and family.support.remedy is None:
        raise CatalogueError("support: say in `remedy` what to do now that it ended")
    return family


def _check_firmware(firmware: Firmware) -> None:
    if _compile(firmware.pattern, "firmware.pattern").groups != 1:
        raise CatalogueError("firmware.pattern: needs one group, the version")
    if firmware.minimum and firmware.any_version:
        raise CatalogueError("firmware: either `minimum` or `any_version`")


def _compile(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise CatalogueError(f"{where}: {error}") from error


def read_family(file: Path) -> Family:
    """Read one file. Raises `CatalogueError`."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise CatalogueError("it is larger than any catalogue file")
        return parse_family(raw.decode())
    except OSError as error:
        raise CatalogueError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise CatalogueError("it is not UTF-8 text") from error


@cache
def shipped() -> tuple[Family, ...]:
    """The families that come with the program."""
    folder = resources.files("fieldtap_hardware") / "catalogue" / "adapters"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(parse_family(file.read_text()) for file in files if file.name.endswith(".toml"))


def user_dir() -> Path:
    """Where files of one's own are looked for."""
    return Path(os.environ.get(USER_DIR_VARIABLE) or USER_DIR)


def read_catalogue(own: Path | None = None) -> Catalogue:
    """The user's families (of the folder `own`, else `user_dir()`), then ours.

    A file that cannot be used takes nothing else with it.
    """
    families, unusable = [], []
    for file in sorted((own or user_dir()).glob("*.toml")):
        try:
            families.append(read_family(file))
        except CatalogueError:
            unusable.append(file)
    return Catalogue((*families, *shipped()), tuple(unusable))


def identify(port: Port, families: Iterable[Family]) -> Identity | None:
    """The port's adapter in the first family that has it; None where none does."""
    adapter = port.pci[0] if port.pci else None
    for family in families:
        for chip in family.chip:
            if adapter is not None and adapter.device_id == chip.pci:
                board = chip.boards.get(adapter.subsystem_id or "")
                series = chip.series.get(adapter.subsystem_id or "")
                exact = board is not None or not (chip.boards or chip.series)
                return Identity(family, chip, board or series, exact)
        if family.bus is not None and family.bus == port.bus:
            return Identity(family, None, None, exact=True)
    return None


def version_key(text: str) -> tuple[int, ...] | None:
    """A version for comparing: the numbers that its dots part, up to the first other character.

    "5.3.16.1004" is (5, 3, 16, 1004), "6.1.0-18-amd64" is (6, 1, 0); None where none begins it,
    as in "0x800003df".
    """
    match = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9})*(?![0-9A-Za-z])", text)
    return tuple(int(part) for part in match[0].split(".")) if match else None


def is_within(version: tuple[int, ...], first: str, last: str) -> bool:
    """Whether a version is in a range; what `last` leaves open is in it: 4.1.5 is up to "4.1"."""
    low, high = version_key(first), version_key(last)
    assert low is not None
    assert high is not None
    return low <= version and version[: len(high)] <= high
