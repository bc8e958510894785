"""The engine's own speed: frames made in memory, hashed, counted and formatted, to nowhere.

One hot thread. The rate is the difference of two runs, so that start and end do not count; by the
processor's time it holds on a machine that does other work too. Instructions are callgrind's.
"""

from pathlib import Path

from fieldlab import ft_capture

from capture_core.bench import measuring

ROUNDS = 5
FRAME_BYTES = 64
FEW, MANY = 10_000_000, 110_000_000
FEW_COUNTED, MANY_COUNTED = 100_000, 600_000
CASES = {"every frame": [], "with a filter": ["-f", "udp port 9"]}


def main() -> None:
    """Print frames a second of each case, and what a frame costs."""
    rows: list[list[str]] = []
    with measuring.scratch() as folder:
        for case, options in CASES.items():
            by_wall, by_cpu = _rates_mpps(options)
            counted = _instructions_per_frame(options, folder)
            rows.append([case, f"{by_wall:.1f}", f"{by_cpu:.1f}", f"{counted:.0f}"])
    columns = [
        f"synth {FRAME_BYTES} B to null:",
        "Mpps",
        "Mpps by CPU time",
        "instructions a frame",
    ]
    measuring.print_table(columns, rows)


def _argv(frames: int, options: list[str]) -> list[str]:
    port = f"synth:size={FRAME_BYTES},count={frames}"
    return ft_capture("-i", port, "-w", "null:", *options)


def _rates_mpps(options: list[str]) -> tuple[float, float]:
    wall_us: list[float] = []
    cpu_us: list[float] = []
    for _ in range(ROUNDS):
        few, many = (measuring.timed(_argv(frames, options)) for frames in (FEW, MANY))
        wall_us.append(1e6 * (many.wall_s - few.wall_s) / (MANY - FEW))
        cpu_us.append(1e6 * (many.cpu_s - few.cpu_s) / (MANY - FEW))
    return 1 / measuring.median(wall_us), 1 / measuring.median(cpu_us)


def _instructions_per_frame(options: list[str], folder: Path) -> float:
    def count(frames: int) -> float:
        return measuring.instructions(_argv(frames, options), folder)

    return measuring.slope(count, FEW_COUNTED, MANY_COUNTED)
