"""The highest offered load that a program takes without a loss, on a virtual link.

By halving between none and what the sender reaches, by the fastest way that it finds to the port:
while ft-capture keeps a veth from handing over unsegmented frames, that is another one
(docs/architecture.md); with --allow-coalesced it is the one that the others get. On a machine of
two processors the rate says more of how the program and the sender share them than of a line. Ten
times as many frames as the kernel's ring holds, so that it hides no program that falls behind.
"""

from dataclasses import dataclass
from pathlib import Path

from fieldlab import Lab, lab

from capture_core.bench import measuring, peers
from capture_core.bench.peers import Command

STEPS = 5
FRAMES = 5_000_000
ROUNDS = 3


@dataclass(frozen=True)
class Highest:
    """A rate at which nothing was lost."""

    pps: float
    sender_is_the_limit: bool


def main() -> None:
    """Print each program's highest rate; one that the sender could not exceed is `at least`."""
    commands = {
        "ft-capture": peers.ours(),
        "ft-capture --allow-coalesced": peers.ours("--allow-coalesced"),
        **peers.peers(),
    }
    found: dict[str, list[Highest]] = {name: [] for name in commands}
    with measuring.scratch() as folder, lab() as link:
        for _ in range(ROUNDS):
            for name, command in commands.items():
                found[name].append(_highest(link, command, folder))
    rows: list[list[str]] = []
    for name, rounds in found.items():
        mpps = measuring.median([one.pps for one in rounds]) / 1e6
        at_least = "at least " if any(one.sender_is_the_limit for one in rounds) else ""
        rows.append([name, f"{at_least}{mpps:.2f}"])
    measuring.print_table([f"lossless, {peers.FRAME_BYTES} B", "Mpps"], rows)


def _highest(link: Lab, command: Command, folder: Path) -> Highest:
    count = ("--count", str(FRAMES))
    sample = peers.measure(link, command, folder, [*count, "--rate", "max"])
    if sample.lost == 0:
        return Highest(sample.offered_pps, sender_is_the_limit=True)
    without, with_loss = 0.0, sample.offered_pps
    for _ in range(STEPS):
        rate = f"{(without + with_loss) / 2:.0f}pps"
        sample = peers.measure(link, command, folder, [*count, "--rate", rate])
        if sample.lost == 0:
            without = max(without, sample.offered_pps)
        else:
            with_loss = min(with_loss, sample.offered_pps)
    return Highest(without, sender_is_the_limit=False)
