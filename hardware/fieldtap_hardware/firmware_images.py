"""Firmware images that the operator supplies: a folder with images and a `firmware.toml`.

    [[image]]
    file = "sfn7122f-6.2.7.1001.dat"
    sha256 = "..."
    version = "6.2.7.1001"           # what the adapter will tell once the image runs
    tool = "sfupdate"                # which program writes it: devlink, sfupdate, mstflint, ...
    devices = ["1924:0903"]          # PCI ids; an adapter on another bus: its driver's name
    component = "fw.mgmt"            # devlink only: a part of the firmware instead of all of it

Nothing is known of an image that is not named there, so it is not written.
"""

import hashlib
import re
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

MANIFEST = "firmware.toml"
MAX_MANIFEST_BYTES = 1 << 20
MAX_IMAGE_BYTES = 1 << 30
SHA256 = re.compile(r"[0-9a-f]{64}")
WORD = re.compile(r"[\w][\w.:@-]{0,63}")
VERSION = re.compile(r"[\w][\w .:+()-]{0,63}")


class ImageError(Exception):
    """The image or its manifest is not usable; the text says why and what to do."""


class Image(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One image as its manifest describes it."""

    file: str  # a name within the folder; the full path once found
    version: str
    tool: str
    devices: tuple[str, ...]
    sha256: str = ""  # pinned here, or by the operator at the command line
    component: str | None = None


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    image: tuple[Image, ...]


def find_image(path: Path, sha256: str | None = None) -> Image:
    """The image at `path`, with its pin; its bytes are not read yet. Raises ImageError.

    `sha256` pins it too; where the manifest has a pin both must agree.
    """
    path = path.absolute()
    if not path.is_file():
        raise ImageError(f"{path}: {'is not a file' if path.exists() else 'there is no such file'}")
    listed = [image for image in read_manifest(path.parent) if image.file == path.name]
    if len(listed) != 1:
        often = "not named" if not listed else "named more than once"
        raise ImageError(f"{path.name} is {often} in {path.parent / MANIFEST}")
    image = listed[0]
    pins = {pin.lower() for pin in (image.sha256, sha256 or "") if pin}
    if not pins:
        text = f"{path.name} is not pinned: give --sha256, or sha256 in {path.parent / MANIFEST}"
        raise ImageError(text)
    if len(pins) > 1:
        raise ImageError(f"--sha256 is not what {path.parent / MANIFEST} has for {path.name}")
    (pin,) = pins
    if not SHA256.fullmatch(pin):
        raise ImageError(f"{pin[:80]!r} is no SHA-256: it takes 64 hexadecimal digits")
    return msgspec.structs.replace(image, file=str(path), sha256=pin)


def read_manifest(folder: Path) -> tuple[Image, ...]:
    """The images that the folder's manifest describes. Raises ImageError."""
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        text = f"{path} is missing: it names version, devices and sha256 of each image"
        raise ImageError(text) from None
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error
    return parse_manifest(raw, str(path))


def parse_manifest(raw: bytes, name: str) -> tuple[Image, ...]:
    """The images in the text of a manifest called `name`. Raises ImageError."""
    try:
        images = msgspec.convert(tomllib.loads(raw.decode()), Manifest).image
    except UnicodeDecodeError:
        raise ImageError(f"{name}: it is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # of TOML and the manifest's shape
        raise ImageError(f"{name}: {error}") from error
    for image in images:
        words = (*image.devices, image.component or "all", image.file)
        if not (image.devices and VERSION.fullmatch(image.version)):
            raise ImageError(f"{name}: {image.file[:80]!r} needs a version and devices")
        if not all(WORD.fullmatch(word) for word in words):
            raise ImageError(
                f"{name}: a file, device or component of {image.file[:80]!r} is no word"
            )
    return images


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Raises ImageError where it is empty, too large or unreadable."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if not 0 < size <= MAX_IMAGE_BYTES:
                raise ImageError(f"{path} has {size} bytes: that is no firmware image")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error
