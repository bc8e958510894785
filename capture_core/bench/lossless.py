"""The highest offered load that a program takes without a loss, on a virtual link.

By halving between none and what the sender reaches. On a machine of two processors it says more of
how the program and the sender share them than of an adapter's line rate.
"""

from pathlib import Path

from fieldlab import Lab, lab

from capture_core.bench import measuring, peers
from capture_core.bench.peers import Command

STEPS = 6
FRAMES = 2_000_000
ROUNDS = 3


def main() -> None:
    """Print each program's highest rate."""
    commands = {"ft-capture": peers.ours(), **peers.peers()}
    rates: dict[str, list[float]] = {name: [] for name in commands}
    with measuring.scratch() as folder, lab() as link:
        for _ in range(ROUNDS):
            for name, command in commands.items():
                rates[name].append(_highest_pps(link, command, folder))
    medians = {name: measuring.median(rounds) for name, rounds in rates.items()}
    ours = medians["ft-capture"]
    measuring.print_table(
        [f"lossless, {peers.FRAME_BYTES} B", "Mpps", "ours in theirs"],
        [[name, f"{pps / 1e6:.2f}", f"{ours / max(pps, 1):.2f}"] for name, pps in medians.items()],
    )


def _highest_pps(link: Lab, command: Command, folder: Path) -> float:
    count = ("--count", str(FRAMES))
    sample = peers.measure(link, command, folder, [*count, "--rate", "max"])
    if sample.lost == 0:
        return sample.offered_pps  # the sender is the limit
    without, with_loss = 0.0, sample.offered_pps
    for _ in range(STEPS):
        rate = f"{(without + with_loss) / 2:.0f}pps"
        sample = peers.measure(link, command, folder, [*count, "--rate", rate])
        if sample.lost == 0:
            without = sample.offered_pps
        else:
            with_loss = min(with_loss, sample.offered_pps)
    return without
