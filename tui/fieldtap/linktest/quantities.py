"""Sizes, rates, times and shares as a user writes them. Errors are `CommandError`s."""

import re
from collections.abc import Iterable

from fieldtap.failures import BAD_USAGE, CommandError, naming
from fieldtap.linktest import figures
from fieldtap.linktest.settings import STANDARD_SIZES, Limits

NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z0-9%]*)")
PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
TIMES_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
MIN_FRAME_BYTES = 64
MAX_FRAME_BYTES = 16_000
TAG_BYTES = 4


def _split(text: str, what: str) -> tuple[float, str]:
    match = NUMBER_AND_UNIT.fullmatch(text.strip())
    if match is None:
        raise CommandError(f"{text!r} is not {what}", BAD_USAGE)
    return float(match[1]), match[2]


def duration_s(text: str) -> float:
    """Return seconds from "90", "500ms", "15m" or "1h"."""
    what = "a time above 0, as in 500ms, 90s, 15m or 1h"
    number, unit = _split(text, what)
    if unit not in TIMES_S or number <= 0:
        raise CommandError(f"{text!r} is not {what}", BAD_USAGE)
    return number * TIMES_S[unit]


def ratio(text: str) -> float:
    """Return 0.001 from "0.1%"."""
    number, unit = _split(text, "a share, as in 0.1%")
    if unit != "%" or number > 100:
        raise CommandError(f"{text!r} is not a share, as in 0.1%", BAD_USAGE)
    return number / 100


def bit_rate_bps(text: str) -> float:
    """Return the layer 2 bit rate of "100Mbps"."""
    number, unit = _split(text, "a bit rate, as in 100Mbps")
    prefix = unit.removesuffix("bps")
    if unit == prefix or prefix not in PREFIXES:
        raise CommandError(f"{text!r} is not a bit rate, as in 100Mbps", BAD_USAGE)
    return number * PREFIXES[prefix]


def frames_pps(text: str, frame_bytes: int, highest_pps: float) -> float:
    """Return the frames a second of "10kpps", "100Mbps" or "50%" of the highest rate."""
    what = "a rate, as in 10kpps, 100Mbps or 50%"
    number, unit = _split(text, what)
    if unit == "%" and 0 < number <= 100:
        return highest_pps * number / 100
    if unit.endswith("pps") and (prefix := unit.removesuffix("pps")) in PREFIXES and number > 0:
        return number * PREFIXES[prefix]
    if unit.endswith("bps") and number > 0:
        return figures.pps(bit_rate_bps(text), frame_bytes)
    raise CommandError(f"{text!r} is not {what}", BAD_USAGE)


def sizes(text: str, vlan_id: int | None) -> tuple[int, ...]:
    """Return frame sizes from "64,512,1518" or "standard", each with the tag of a VLAN."""
    words = [str(size) for size in STANDARD_SIZES] if text == "standard" else text.split(",")
    found = []
    for word in words:
        if not word.strip().isdecimal() or not _fits(int(word)):
            bounds = f"{MIN_FRAME_BYTES} to {MAX_FRAME_BYTES} bytes with FCS"
            raise CommandError(f"{word!r} is not a frame size ({bounds})", BAD_USAGE)
        found.append(int(word))
    return tagged(dict.fromkeys(found), vlan_id)


def tagged(sizes: Iterable[int], vlan_id: int | None) -> tuple[int, ...]:
    """Return frame sizes with the tag of a VLAN, where there is one."""
    tag_bytes = 0 if vlan_id is None else TAG_BYTES
    return tuple(size + tag_bytes for size in sizes)


def _fits(size: int) -> bool:
    return MIN_FRAME_BYTES <= size <= MAX_FRAME_BYTES


def limits(texts: tuple[str, ...]) -> Limits:
    """Return limits from texts such as "throughput=95%", "latency=1ms" and "burst=100"."""
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--limit {text}: give NAME=VALUE", BAD_USAGE)
        with naming(f"--limit {name}"):
            found |= _limit(name, value)
    return Limits(**found)


def _limit(name: str, value: str) -> dict[str, float]:
    if name in ("throughput", "loss"):
        return {f"{name}_percent": 100 * ratio(value)}
    if name == "latency":
        return {"latency_ns": 1e9 * duration_s(value)}
    if name == "recovery":
        return {"recovery_s": duration_s(value)}
    if name == "burst":
        return {"burst_frames": _split(value, "a number of frames")[0]}
    raise CommandError("there are throughput, loss, latency, burst, recovery", BAD_USAGE)
