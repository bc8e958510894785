"""One flow out of a large file: ft-extract beside `tcpdump -r` with a filter of the same meaning.

Both are warm: the file is in memory, and each has run once before. Their frames are brought into
one form by editcap and must be the same, byte for byte and stamp for stamp.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from fieldlab import ft_capture, program, tool

from capture_core.bench import measuring

ROUNDS = 5
FLOW = 77
PCAP_HEADER_BYTES = 24


@dataclass(frozen=True)
class Case:
    """A file in which the flow stands in a known share of the chunks."""

    name: str
    frame_bytes: int
    frames: int
    flows: int
    """Flows live 256 at a time, so that of so many each is in 256 of them of the file."""


CASES = [
    Case("in few chunks", 256, 6_000_000, 256 * 200),
    Case("in every chunk", 256, 6_000_000, 256),
    Case("in few chunks", 1518, 1_000_000, 256 * 200),
    Case("in every chunk", 1518, 1_000_000, 256),
]


def main() -> None:
    """Print the time of both and their ratio."""
    rows: list[list[str]] = []
    with measuring.scratch() as folder:
        for case in CASES:
            source = _make(folder, case)
            share = _share_of_chunks(source, folder)
            ours, theirs = _times(source, folder)
            rows.append(
                [
                    f"of {case.frame_bytes} B, {case.name} ({share:.1%})",
                    f"{ours:.3f}",
                    f"{theirs:.3f}",
                    f"{theirs / ours:.1f}",
                ]
            )
            for path in folder.glob("*.pcap*"):
                path.unlink()
    columns = ["a flow", "ft-extract s", "tcpdump -r s", "tcpdump / ft-extract"]
    measuring.print_table(columns, rows)


def _make(folder: Path, case: Case) -> Path:
    """Write the file and read it once, so that it is in memory."""
    source = folder / "source.pcapng"
    port = f"synth:size={case.frame_bytes},flows={case.flows},count={case.frames},seed=1"
    measuring.timed(ft_capture("-i", port, "-w", source))
    measuring.timed([tool("cat"), str(source)])
    return source


def _ours(source: Path, output: Path, *options: str | Path) -> list[str]:
    flow = f"198.18.0.{FLOW}:{1024 + FLOW},198.19.0.1:9,udp"
    return [
        program("ft-extract"),
        str(source),
        "-w",
        str(output),
        "--flow",
        flow,
        *map(str, options),
    ]


def _theirs(source: Path, output: Path) -> list[str]:
    ends = f"host 198.18.0.{FLOW} and port {1024 + FLOW} and host 198.19.0.1 and port 9"
    return [tool("tcpdump"), "--nano", "-r", str(source), "-w", str(output), f"udp and {ends}"]


def _share_of_chunks(source: Path, folder: Path) -> float:
    """Return the share of the chunks that hold the flow, by the engine's own report."""
    report = folder / "extract.json"
    measuring.timed(_ours(source, folder / "ours.pcapng", "--report", report))
    told = measuring.read_json(report)
    read, skipped = int(told["chunks_read"]), int(told["chunks_skipped"])
    return read / (read + skipped)


def _times(source: Path, folder: Path) -> tuple[float, float]:
    ours, theirs = folder / "ours.pcapng", folder / "theirs.pcap"
    measuring.timed(_theirs(source, theirs))
    times: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        ours.unlink(missing_ok=True)
        first = measuring.timed(_ours(source, ours)).wall_s
        times.append((first, measuring.timed(_theirs(source, theirs)).wall_s))
    if _records(ours, folder) != _records(theirs, folder):
        raise RuntimeError("ft-extract and tcpdump took different frames")
    return measuring.median([one for one, _ in times]), measuring.median([two for _, two in times])


def _records(path: Path, folder: Path) -> bytes:
    """Return stamps and frames in the form of pcap's records, without the file's header."""
    simple = folder / "simple.pcap"
    subprocess.run([tool("editcap"), "-F", "nsecpcap", path, simple], check=True)
    records = simple.read_bytes()[PCAP_HEADER_BYTES:]
    if not records:
        raise RuntimeError(f"{path}: no frame was extracted")
    return records
