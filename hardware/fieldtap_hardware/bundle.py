"""A support bundle: one machine's readings, to be judged elsewhere, and the raw words behind them.

A gzipped tar of a few regular files. `manifest.json` has the SHA-256 of each other file,
`readings.json` what the checks judge, `report.json` what was judged on the spot, `raw/` what people
and `fieldtap check --explain` read. A bundle comes from anywhere: it is read within limits, never
unpacked to disk, and text that could drive a terminal is refused.
"""

import gzip
import hashlib
import io
import ipaddress
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from fieldtap_hardware.bypass import Duty
from fieldtap_hardware.checks import judge
from fieldtap_hardware.pci import LARGEST_PAYLOAD_CODE, SMALLEST_PAYLOAD_BYTES
from fieldtap_hardware.readings import Readings
from fieldtap_hardware.redact import GONE, Redactor
from fieldtap_hardware.sysfs import PCIE_GTPS, PCIE_WIDTHS

MAX_COMPRESSED_BYTES = 16 << 20
MAX_BYTES = 64 << 20
MAX_FILES = 4096  # seven of each port, and a host of containers has hundreds of ports
MAX_DEPTH = 32  # of JSON; readings have less than ten levels
MAX_TEXT = 16_384
PAYLOADS = tuple(SMALLEST_PAYLOAD_BYTES << code for code in range(LARGEST_PAYLOAD_CODE + 1))
MAX_FIGURE = 1 << 64
MANIFEST, READINGS, REPORT = "manifest.json", "readings.json", "report.json"


Kind = TypeVar("Kind")


class BundleError(Exception):
    """A file is no bundle, or none that can be trusted; the words say why."""


class FileEntry(Struct, frozen=True):
    """One file of a bundle."""

    name: str
    bytes: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a bundle holds and who made it."""

    schema: Literal["fieldtap.bundle/1"]
    made_ns: int  # UTC
    version: str  # of the program
    removed: str  # what was taken out, in words
    files: tuple[FileEntry, ...]


UNIQUE = ("serial", "unique_id")  # fields of readings
REMOVED = (
    "serial numbers, keys, passwords, unique identifiers, host and user names; MAC addresses keep "
    "their vendor, IP addresses their kind"
)


def write_bundle(
    path: Path,
    readings: Readings,
    raw: Mapping[str, object],
    duty: Duty,
    *,
    version: str,
    redactor: Redactor,
) -> Manifest:
    """Write a bundle with secrets removed, whole or not at all. Raises `OSError`.

    `raw` is text by name, or what becomes JSON; names get "raw/" in front.
    """
    told = redact_readings(readings, redactor)
    files = {READINGS: _pretty(told), REPORT: _pretty(judge(told, duty))}
    files |= {f"raw/{name}": _redacted_bytes(raw[name], redactor) for name in sorted(raw)}
    manifest = Manifest(
        schema="fieldtap.bundle/1",
        made_ns=readings.taken_ns,
        version=version,
        removed=REMOVED,
        files=tuple(
            FileEntry(name, len(data), hashlib.sha256(data).hexdigest())
            for name, data in files.items()
        ),
    )
    packed = _pack({MANIFEST: _pretty(manifest)} | files, readings.taken_ns // 1_000_000_000)
    _replace(path, packed)
    return manifest


def _replace(path: Path, data: bytes) -> None:
    """Put `data` where an older bundle may be, which a full disk must not cost."""
    if path.exists() and not path.is_file():  # a pipe
        path.write_bytes(data)
        return
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _redacted_bytes(told: object, redactor: Redactor) -> bytes:
    """Text, or JSON, whose text is redacted before its quoting puts an "n" before each line."""
    if isinstance(told, str):
        return redactor.text(told).encode()
    return _pretty(_redacted(told, redactor))


def redact_readings(readings: Readings, redactor: Redactor) -> Readings:
    """The same without names; what the checks go by (kinds of addresses) stays."""
    ports = tuple(
        msgspec.structs.replace(
            port, addresses=tuple(redactor.address(address) for address in port.addresses)
        )
        for port in readings.ports
    )
    value = msgspec.to_builtins(msgspec.structs.replace(readings, ports=ports), str_keys=True)
    return msgspec.convert(_redacted(value, redactor), Readings, strict=False, str_keys=True)


def _redacted(value: object, redactor: Redactor, key: str = "") -> object:
    if isinstance(value, str):
        return GONE if key in UNIQUE and value else redactor.text(value)
    if isinstance(value, list | tuple):
        return [_redacted(entry, redactor, key) for entry in value]
    if isinstance(value, dict):
        return {
            redactor.text(name) if isinstance(name, str) else name: _redacted(entry, redactor, name)
            for name, entry in value.items()
        }
    return value


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _pack(files: Mapping[str, bytes], made_s: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(data), made_s, 0o644
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=made_s)


def read_bundle(path: Path) -> tuple[Manifest, Readings]:
    """What another machine was found to be. Raises `BundleError` or `OSError`."""
    with path.open("rb") as file:
        return parse_bundle(file.read(MAX_COMPRESSED_BYTES + 1))


def parse_bundle(data: bytes) -> tuple[Manifest, Readings]:
    """A bundle's manifest and readings, checked against each other. Raises `BundleError`."""
    files = _unpack(_decompress(data))
    manifest = _decode(files.pop(MANIFEST, None), MANIFEST, Manifest)
    listed = {entry.name: entry for entry in manifest.files}
    if listed.keys() != files.keys() or len(listed) != len(manifest.files):
        raise BundleError("its files are not those of its manifest")
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != listed[name].sha256:
            raise BundleError(f"{name} is not what its manifest says: it was changed")
    readings = _decode(files.get(READINGS), READINGS, Readings)
    _refuse_nonsense(readings)
    return manifest, readings


def _decompress(data: bytes) -> bytes:
    if len(data) > MAX_COMPRESSED_BYTES:
        raise BundleError(f"is larger than {MAX_COMPRESSED_BYTES >> 20} MiB, which no bundle is")
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        unpacked = stream.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise BundleError("is not gzipped, or damaged") from error
    if stream.unconsumed_tail:
        raise BundleError(f"unpacks to more than {MAX_BYTES >> 20} MiB, which no bundle does")
    if not stream.eof:
        raise BundleError("is cut short")
    return unpacked


def _unpack(data: bytes) -> dict[str, bytes]:
    """The regular files of a tar by name; anything else in it is refused."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.type == tarfile.REGTYPE else None
                if content is None or entry.issparse() or entry.name in files:
                    raise BundleError(f"has an entry that no bundle has: {entry.name[:80]!r}")
                if len(files) >= MAX_FILES:
                    raise BundleError(f"has more than {MAX_FILES} files")
                files[entry.name] = content.read(entry.size)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise BundleError("is no tar, or damaged") from error
    return files


def _decode(data: bytes | None, name: str, kind: type[Kind]) -> Kind:
    if data is None:
        raise BundleError(f"has no {name}")
    try:
        value = msgspec.json.decode(data)
        _refuse_wild(value, name)
        return msgspec.convert(value, kind, strict=False, str_keys=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        words = str(error).partition("\n")[0][:200]
        raise BundleError(f"{name} does not hold what it should: {words}") from error


def _refuse_wild(value: object, name: str, depth: int = 0) -> None:
    """Refuse what no reading is: deep nesting, control characters, figures beyond 64 bits."""
    if depth > MAX_DEPTH:
        raise BundleError(f"{name} is nested more deeply than any reading")
    if isinstance(value, str):
        if len(value) > MAX_TEXT or not value.replace("\n", " ").isprintable():
            raise BundleError(f"{name} has text that no reading has")
    elif isinstance(value, int | float) and not -MAX_FIGURE < value < MAX_FIGURE:
        raise BundleError(f"{name} has a figure that no reading has")
    elif isinstance(value, list):
        for entry in value:
            _refuse_wild(entry, name, depth + 1)
    elif isinstance(value, dict):
        for key, entry in value.items():
            _refuse_wild(key, name, depth + 1)
            _refuse_wild(entry, name, depth + 1)


def _refuse_nonsense(readings: Readings) -> None:
    """Refuse what no reader here would have returned, and the checks' arithmetic rests on."""
    for port in readings.ports:
        for address in port.addresses:
            try:
                ipaddress.ip_interface(address)
            except ValueError as error:
                raise BundleError(f"{READINGS} has {address!r} for an address") from error
        for function in port.pci:
            figures = (
                (function.link_gtps, PCIE_GTPS),
                (function.link_width, PCIE_WIDTHS),
                (function.payload_bytes, PAYLOADS),
            )
            if any(figure is not None and figure not in known for figure, known in figures):
                raise BundleError(f"{READINGS} has a link at {function.address} that cannot be")
    if any(ceiling.bps < 1 for ceiling in readings.measured.values()):
        raise BundleError(f"{READINGS} has a ceiling that cannot be")
