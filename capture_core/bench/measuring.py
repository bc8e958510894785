"""How the sections measure: a program's time and instructions, medians, a folder, a table."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fieldlab import CHECKOUT, Json, tool

COMMAND_TIMEOUT_S = 900


@dataclass(frozen=True)
class Time:
    """What one program took from its start to its end; `cpu_s` is user and system time."""

    wall_s: float
    cpu_s: float


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk that is measured, and RUN for the engines; removed at the end.

    It is in `$FIELDTAP_BENCH_DIR`, else build/bench, since /tmp is memory on some machines.
    """
    parent = Path(os.environ.get("FIELDTAP_BENCH_DIR") or CHECKOUT / "build/bench")
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        os.environ["FIELDTAP_RUN_DIR"] = folder
        yield Path(folder)


def timed(argv: Sequence[str]) -> Time:
    """Run a program to its end. Raises `RuntimeError` with its words where it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=words)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            words.seek(0)
            text = words.read().decode(errors="replace").strip()
            raise RuntimeError(f"{argv[0]}: exit code {process.returncode}: {text}")
    return Time(wall_s, usage.ru_utime + usage.ru_stime)


def instructions(argv: Sequence[str], folder: Path) -> int:
    """Return what one whole run of a program executes, by callgrind."""
    counted = folder / "callgrind.out"
    command = [tool("valgrind"), "--tool=callgrind", f"--callgrind-out-file={counted}", *argv]
    subprocess.run(command, check=True, capture_output=True, timeout=COMMAND_TIMEOUT_S)
    match = re.search(r"^(?:summary|totals): (\d+)", counted.read_text(), re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{counted}: callgrind wrote no total")
    return int(match[1])


def read_json(path: Path) -> Json:
    """Return a report."""
    report: Json = json.loads(path.read_text())
    return report


def slope(measure: Callable[[int], float], few: int, many: int) -> float:
    """Return what one frame adds: the difference of two runs, free of start and end."""
    return (measure(many) - measure(few)) / (many - few)


def median(samples: Sequence[float]) -> float:
    """Return the median of the rounds of one case."""
    return statistics.median(samples)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as docs/results.md has them."""
    lines = [columns, ["---"] * len(columns), *rows]
    for cells in lines:
        sys.stdout.write("| " + " | ".join(map(str, cells)) + " |\n")
    sys.stdout.flush()
