"""What docs/streams.md says of values that vary, once more and apart from the engine."""

import math
from collections.abc import Iterator, Sequence
from itertools import cycle

MASK = (1 << 64) - 1


class Draws:
    """SplitMix64, begun from the seed and the name of what is drawn."""

    def __init__(self, stream: str, what: str, seed: int = 0) -> None:
        digest = 0xCBF29CE484222325
        for octet in f"{stream}/{what}".encode():
            digest = (digest ^ octet) * 0x100000001B3 & MASK
        self._state = seed ^ digest

    def word(self) -> int:
        """Return the next 64 bits."""
        self._state = self._state + 0x9E3779B97F4A7C15 & MASK
        z = self._state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31

    def between(self, least: int, most: int) -> int:
        """Return the next number from `least` to `most`."""
        return least + (self.word() * (most - least + 1) >> 64)

    def octets(self, count: int) -> bytes:
        """Return a payload."""
        words = (self.word().to_bytes(8, "big") for _ in range(math.ceil(count / 8)))
        return b"".join(words)[:count]

    def exponential(self) -> float:
        """Return the next gap of mean 1."""
        return -math.log(((self.word() >> 11) + 1) * 2.0**-53)


def counted(first: int, last: int, step: int = 1) -> Iterator[int]:
    """From the first to the last, up or down, over and over."""
    return cycle(range(first, last + 1, step) if first < last else range(first, last - 1, -step))


def spread(shares: Sequence[tuple[int, int]]) -> list[int]:
    """Return a round of a mix of (size, weight)."""
    places = [
        ((2 * k + 1) / (2 * weight), order, size)
        for order, (size, weight) in enumerate(shares)
        for k in range(weight)
    ]
    return [size for _, _, size in sorted(places)]
