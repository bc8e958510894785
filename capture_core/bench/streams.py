"""What a frame costs to make: templates, fields, checksums and signature, without any port."""

from pathlib import Path

from fieldlab import CHECKOUT, tool

from capture_core.bench import measuring

ROUNDS = 5
FEW, MANY = 5_000_000, 55_000_000
FEW_COUNTED, MANY_COUNTED = 100_000, 600_000
CASES = {
    "64 B, number and time": "[[stream]]\n",
    "64 B, and two fields, both checksums": (
        '[[stream]]\nipv4 = { source = { random = "198.18.0.0/16" } }\n'
        "udp = { source_port = { count = [1024, 65535] } }\n"
    ),
    "64 B, and four fields": (
        '[[stream]]\nipv4 = { source = { random = "198.18.0.0/16" }, ttl = [1, 2, 3] }\n'
        "udp = { source_port = { count = [1024, 65535] }, destination_port = [7, 9] }\n"
    ),
    "64 to 1518 B at random": "[[stream]]\nsize = { random = [64, 1518] }\n",
    "eight streams, two fields each": (
        "[[stream]]\nipv4.id = { count = [0, 65535] }\nudp.source_port = { random = [1, 9999] }\n"
    )
    * 8,
}


def main() -> None:
    """Print nanoseconds of processor time and instructions a frame."""
    program = _build()
    rows: list[list[str]] = []
    with measuring.scratch() as folder:
        for case, toml in CASES.items():
            path = folder / "streams.toml"
            path.write_text(toml)
            ns = _ns_per_frame(program, path)
            counted = _instructions_per_frame(program, path, folder)
            rows.append([case, f"{ns:.1f}", f"{counted:.0f}"])
    measuring.print_table(["a frame made:", "ns", "instructions"], rows)


def _build() -> Path:
    """Return a program that makes frames and sends none; the engine alone does not need it."""
    engine = CHECKOUT / "build/engine"
    measuring.timed([tool("ninja"), "-C", str(engine), "bench-streams"])
    return engine / "bench-streams"


def _ns_per_frame(program: Path, toml: Path) -> float:
    def run(frames: int) -> float:
        return 1e9 * measuring.timed([str(program), str(toml), str(frames)]).cpu_s

    return measuring.median([measuring.slope(run, FEW, MANY) for _ in range(ROUNDS)])


def _instructions_per_frame(program: Path, toml: Path, folder: Path) -> float:
    def count(frames: int) -> float:
        return measuring.instructions([str(program), str(toml), str(frames)], folder)

    return measuring.slope(count, FEW_COUNTED, MANY_COUNTED)
