"""Reading and parsing the small text files of /sys and /proc.

A file that is missing or unreadable, or whose text means nothing, is None: drivers leave files out,
answer EINVAL while a link is down, and print -1 for what they do not know.
"""

import re
from pathlib import Path

MAX_BYTES = 4096  # a page: the kernel shows no more of an attribute
NUMBER = re.compile(r"-?[0-9]{1,20}|0x[0-9a-fA-F]{1,16}")
PCIE_GTPS = (2.5, 5.0, 8.0, 16.0, 32.0, 64.0)
PCIE_WIDTHS = (1, 2, 4, 8, 12, 16, 32)


def read_text(path: Path) -> str | None:
    """The printable text of a file, without surrounding white space; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return clean_text(file.read(MAX_BYTES))
    except OSError:
        return None


def read_bytes(path: Path, most_bytes: int) -> bytes | None:
    """The first bytes of a binary attribute; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except OSError:
        return None


def clean_text(raw: bytes) -> str:
    """Text that is safe to show: a tab becomes a space, what else cannot be printed '?'."""
    text = raw.decode("utf-8", "replace").strip().replace("\t", " ")
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def parse_int(text: str | None, low: int, high: int) -> int | None:
    """A whole number, decimal or 0x-prefixed, if it is within `low` and `high`."""
    if text is None or not NUMBER.fullmatch(text):
        return None
    number = int(text, 16 if text.startswith("0x") else 10)
    return number if low <= number <= high else None


def parse_pcie_gtps(text: str | None) -> float | None:
    """Gigatransfers a second from "8.0 GT/s PCIe"; None for "Unknown" and unheard-of rates."""
    if text is None:
        return None
    figure, _, unit = text.partition(" ")
    if not unit.startswith("GT/s"):
        return None
    return next((gtps for gtps in PCIE_GTPS if figure in (str(gtps), f"{gtps:g}")), None)


def parse_pcie_width(text: str | None) -> int | None:
    """Lanes; None for 0 and 255, which a sleeping device shows."""
    width = parse_int(text, 1, 32)
    return width if width in PCIE_WIDTHS else None


def parse_uevent(text: str | None) -> dict[str, str]:
    """The KEY=value lines of a `uevent` file; other lines are skipped."""
    pairs = (line.partition("=") for line in (text or "").split("\n"))
    return {key: value for key, equals, value in pairs if key and equals}
