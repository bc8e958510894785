"""What docs/streams.md says of values that vary, once more and apart from the engine."""

import math
import subprocess
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import capturefile
from fieldlab import ft_generate

Sent = tuple[int, bytes]
"""When a frame is due, in nanoseconds after the first, and its bytes."""

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


def dry_run(folder: Path, toml: str, *options: str) -> list[Sent]:
    """Return what ft-generate would send of a stream file."""
    out = folder / "out.pcapng"
    done = generate(folder, toml, "-o", f"file:{out}", *options)
    assert done.returncode == 0, done.stderr
    packets = capturefile.read(out).packets
    return [(packet.stamp_ns - packets[0].stamp_ns, packet.data) for packet in packets]


def generate(folder: Path, toml: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run ft-generate with a stream file called streams.toml."""
    path = folder / "streams.toml"
    path.write_text(toml)
    command = ft_generate("--streams", path, *options)
    return subprocess.run(command, capture_output=True, text=True, check=False)
