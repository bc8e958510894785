"""Figures in words, for summaries; units are powers of 1000."""


def rate_words(bps: float) -> str:
    """ "10 Gb/s", "2.5 Gb/s", "100 Mb/s"."""
    return _scaled(bps, "b/s")


def size_words(size_bytes: float) -> str:
    """ "80.1 GB", "512 B"."""
    return _scaled(size_bytes, "B")


def duration_words(seconds: float) -> str:
    """ "31 s", "12 min", "3.4 h", "5 days": short of the truth rather than beyond it."""
    if seconds < 120:
        return f"{int(seconds)} s"
    if seconds < 7200:
        return f"{int(seconds / 60)} min"
    if seconds < 172_800:
        return f"{int(seconds / 360) / 10:g} h"
    return f"{int(seconds / 86_400)} days"


def _scaled(value: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G", "T"):
        if value < 999.5:  # above, three digits would round to 1000
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000
    return f"{value:.0f} P{unit}"
