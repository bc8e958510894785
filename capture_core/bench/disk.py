"""The disk's limit: frames made in memory, written to a file, beside fio on the same file system.

fio writes as much as the capture file has, with the same means: io_uring, O_DIRECT, 4 MiB blocks,
preallocation, synced at the end. The engine's time is that of its whole process, start included;
fio's is its own figure, start excluded. Who goes first alternates.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fieldlab import ft_capture, tool

from capture_core.bench import measuring

ROUNDS = 3
GOAL_BYTES = 4 << 30
SIZES_BYTES = (64, 1518)
BLOCK_OVERHEAD_BYTES = 44
"""What a packet block of ours has beside the frame."""
FCS_BYTES = 4


@dataclass(frozen=True)
class Rates:
    """Bytes a second of one round."""

    ours: float
    fio: float


def main() -> None:
    """Print bytes a second of both, and the engine's share of fio's."""
    rows: list[list[str]] = []
    with measuring.scratch() as folder:
        for size_bytes in SIZES_BYTES:
            rounds = [_round(folder, size_bytes, number) for number in range(ROUNDS)]
            ours, fio = (
                measuring.median([one.ours for one in rounds]),
                measuring.median([one.fio for one in rounds]),
            )
            share = measuring.median([one.ours / one.fio for one in rounds])
            rows.append(
                [f"{size_bytes} B", f"{ours / 1e6:.0f}", f"{fio / 1e6:.0f}", f"{share:.2f}"]
            )
    measuring.print_table(["synth to disk", "ft-capture MB/s", "fio MB/s", "ratio"], rows)


def _round(folder: Path, size_bytes: int, number: int) -> Rates:
    """Measure both; the file of one is gone before the other's is written."""
    if number % 2 == 0:
        ours = _ours(folder, size_bytes)
        return Rates(ours, _fio(folder))
    fio = _fio(folder)
    return Rates(_ours(folder, size_bytes), fio)


def _ours(folder: Path, size_bytes: int) -> float:
    output = folder / "ours.pcapng"
    frames = GOAL_BYTES // (size_bytes - FCS_BYTES + BLOCK_OVERHEAD_BYTES)
    port = f"synth:size={size_bytes},count={frames}"
    time = measuring.timed(ft_capture("-i", port, "-w", output))
    written = output.stat().st_size
    for path in (output, *folder.glob("ours.pcapng*")):
        path.unlink(missing_ok=True)
    return written / time.wall_s


def _fio(folder: Path) -> float:
    file = folder / "fio"
    command = [tool("fio"), "--name=write", f"--filename={file}", "--rw=write", "--direct=1"]
    command += ["--ioengine=io_uring", "--iodepth=16", "--bs=4M", f"--size={GOAL_BYTES}"]
    command += ["--fallocate=native", "--end_fsync=1", "--output-format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    file.unlink()
    return float(json.loads(done.stdout)["jobs"][0]["write"]["bw_bytes"])
