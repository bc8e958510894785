"""Firmware versions as vendors print them, compared where that means something."""

import re

NUMBERS = re.compile(r"(?<![\w.])v?(\d{1,10}(?:\.\d{1,10}){1,5})(?![\w.])")


def numbers(printed: str | None) -> tuple[int, ...] | None:
    """The first dotted number of "v6.2.7.1001 rx1 tx1"; None where there is none."""
    match = NUMBERS.search(printed or "")
    return tuple(int(part) for part in match[1].split(".")) if match else None


def same(one: str | None, other: str | None) -> bool:
    """Do both name one version? By their numbers, else word for word."""
    if one is None or other is None:
        return False
    if numbers(one) is None or numbers(other) is None:
        return one.strip() == other.strip()
    return numbers(one) == numbers(other)


def is_newer(version: str, than: str | None) -> bool | None:
    """None where the two cannot be compared: no numbers, or another count of them."""
    ours, theirs = numbers(version), numbers(than)
    if ours is None or theirs is None or len(ours) != len(theirs):
        return None
    return ours > theirs
