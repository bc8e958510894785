"""What a million frames cost to capture: ft-capture beside tcpdump, dumpcap and netsniff-ng.

The same stream for each, in turn, every frame of it into a file. Hashing, which a report asks for,
is stated apart.
"""

from collections.abc import Mapping

from fieldlab import lab

from capture_core.bench import measuring, peers
from capture_core.bench.peers import Command, Sample

ROUNDS = 3
FRAMES = 10_000_000
"""So many that what a program costs before the first frame (clearing its ring) is little of it."""
BACKEND_FRAMES = 1_000_000


def main() -> None:
    """Print the table of programs."""
    commands = {"ft-capture": peers.ours(), **peers.peers()}
    commands["ft-capture, SHA-256"] = peers.ours("--report", "/dev/null")
    _print(f"capture {peers.FRAME_BYTES} B", commands, FRAMES)


def main_backends() -> None:
    """Print the table of our own back ends."""
    commands = {"afpacket": peers.ours(), "afxdp": peers.ours("-d", "in", backend="afxdp:")}
    _print(f"capture {peers.FRAME_BYTES} B, back end", commands, BACKEND_FRAMES)


def _print(title: str, commands: Mapping[str, Command], frames: int) -> None:
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    with measuring.scratch() as folder, lab() as link:
        for _ in range(ROUNDS):
            for name, command in commands.items():
                sample = peers.measure(link, command, folder, ["--count", str(frames)])
                samples[name].append(sample)
    first = _cost(next(iter(samples.values())))
    columns = [title, "sent", "lost", "CPU s per million", "in ours"]
    measuring.print_table(
        columns,
        [
            [
                name,
                round(measuring.median([one.sent for one in rounds])),
                max(one.lost for one in rounds),
                f"{_cost(rounds):.3f}",
                f"{_cost(rounds) / first:.2f}",
            ]
            for name, rounds in samples.items()
        ],
    )


def _cost(rounds: list[Sample]) -> float:
    return measuring.median([one.cpu_s_per_million for one in rounds])
