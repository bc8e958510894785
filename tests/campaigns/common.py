"""What campaigns share: the sender of stamped frames, a reader that shares nothing with ours, tables.

A campaign draws everything random from the seed of its turn, which is printed, so that a turn can be
run again. What is wrong with a turn is a list of sentences: none means that the promise was kept.
"""

import argparse
import itertools
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fieldlab import CHECKOUT, END_TIMEOUT_S, End, Json, LabError, tool

HERE = Path(__file__).parent
SCRATCH = CHECKOUT / "build/campaigns"
NS_PER_S = 1_000_000_000

HEADER = bytes.fromhex("02000000000202000000000188b5")
FRAME_BYTES = 60
GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
EPB_DROPCOUNT = 4
PCAP_MAGICS = (0xA1B23C4D, 0xA1B2C3D4)


# --- sending ------------------------------------------------------------------------------------


def build_sender() -> Path:
    """Compile the sender, unless that was done since it was last changed; return its path.

    It is linked statically, so that it also runs in a guest that has no libraries.
    """
    source, program = HERE / "stamped_sender.c", SCRATCH / "stamped_sender"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        command = [tool("cc"), "-O2", "-static", "-o", str(program), str(source)]
        subprocess.run(command, check=True)
    return program


def sender(*options: str | int | Path) -> list[str]:
    """Return the command line of the sender."""
    return [str(build_sender()), *(str(option) for option in options)]


def send(end: End, count: int, *options: str | int | Path) -> int:
    """Send `count` frames from `end`; return how many the kernel took."""
    return int(end.run(*sender(end.port, "-n", count, *options)).stdout.split()[-1])


@contextmanager
def sending(end: End, *options: str | int | Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Frames flow from `end` until the end of the block."""
    process = end.start(*sender(end.port, *options), stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        stop_sending(process)


def stop_sending(process: "subprocess.Popen[bytes]") -> int:
    """End a stream; return how many frames the kernel took of it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    if process.stdout.closed:
        return 0
    said = process.stdout.read().split()
    process.stdout.close()
    process.wait(END_TIMEOUT_S)
    return int(said[-1])


def sent_by(log: Path, at_ns: int) -> int:
    """Return how many frames the sender's log says were sent by then."""
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as words:
        entries = struct.unpack_from("<Q", words)[0]
        for index in range(entries - 1, -1, -1):
            now_ns, sent = struct.unpack_from("<QQ", words, 8 + 16 * index)
            if now_ns <= at_ns:
                return int(sent)
    return 0


# --- reading ------------------------------------------------------------------------------------


@dataclass
class Stream:
    """The stamped frames of one interface of a capture, in the order of the file."""

    numbers: list[int] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)
    foreign: int = 0
    """Frames that the sender cannot have sent: a byte differs."""
    dropped: int = 0
    """Losses that the packets tell."""

    def add(self, frame: bytes, options: bytes = b"") -> None:
        number, stamp_ns, word = struct.unpack_from(">QQQ", frame.ljust(38, b"\0"), len(HEADER))
        sound = frame.startswith(HEADER) and word == (number * GOLDEN ^ stamp_ns) & MASK
        if sound and len(frame) >= FRAME_BYTES and not frame[38:].strip(b"\0"):
            self.numbers.append(number)
            self.stamps_ns.append(stamp_ns)
        else:
            self.foreign += 1
        if len(options) > 12:  # more than the flags: rare
            self.dropped += _drop_count(options)

    def extend(self, later: "Stream") -> None:
        self.numbers += later.numbers
        self.stamps_ns += later.stamps_ns
        self.foreign += later.foreign
        self.dropped += later.dropped

    @property
    def frames(self) -> int:
        return len(self.numbers) + self.foreign

    def gap(self) -> str | None:
        """Return where the numbers do not follow each other, or None."""
        for before, after in itertools.pairwise(self.numbers):
            if after != before + 1:
                return f"{after} comes after {before}"
        return None


def _drop_count(options: bytes) -> int:
    offset = 0
    while offset + 4 <= len(options):
        code, length = struct.unpack_from("<HH", options, offset)
        if code == EPB_DROPCOUNT:
            return int.from_bytes(options[offset + 4 : offset + 4 + length], "little")
        offset += 4 + (length + 3) // 4 * 4
    return 0


def read(*paths: Path) -> dict[int, Stream]:
    """Read captures of ours, pcapng or pcap, as one; return the streams by interface.

    AssertionError where the structure is not sound.
    """
    streams: dict[int, Stream] = {}
    for path in paths:
        data = path.read_bytes()
        walk = _walk_pcap if struct.unpack_from("<I", data)[0] in PCAP_MAGICS else _walk_pcapng
        for interface, frame, options in walk(data, path):
            if interface not in streams:
                streams[interface] = Stream()
            streams[interface].add(frame, options)
    return streams


def _walk_pcapng(data: bytes, path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    offset, end = 0, len(data)
    assert struct.unpack_from("<I", data)[0] == SECTION, f"{path}: no section header"
    while offset < end:
        kind, length = struct.unpack_from("<II", data, offset)
        after = offset + length
        sound = length >= 12 and length % 4 == 0 and after <= end
        assert sound, f"{path}: block at byte {offset} of {end} claims {length} bytes"
        (repeated,) = struct.unpack_from("<I", data, after - 4)
        assert repeated == length, f"{path}: block at byte {offset}: {length} and {repeated} differ"
        if kind == PACKET:
            interface, _, _, kept = struct.unpack_from("<IIII", data, offset + 8)
            frame_end = offset + 28 + kept
            options = data[offset + 28 + (kept + 3) // 4 * 4 : after - 4]
            yield interface, data[offset + 28 : frame_end], options
        offset = after


def _walk_pcap(data: bytes, path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    offset, end = 24, len(data)
    while offset < end:
        assert offset + 16 <= end, f"{path}: ends within a header"
        (kept,) = struct.unpack_from("<I", data, offset + 8)
        offset += 16 + kept
        assert offset <= end, f"{path}: ends within a frame"
        yield 0, data[offset - kept : offset], b""


def only_stream(*paths: Path) -> Stream:
    """Read captures in which one interface at most has frames."""
    streams = list(read(*paths).values())
    assert len(streams) <= 1, "frames on one interface only"
    return streams[0] if streams else Stream()


def complaints(path: Path) -> list[str]:
    """Return what tshark and tcpdump say on stderr about a file, and exit codes that are not 0."""
    said = []
    for command in (["tshark", "-r", path, "-w", os.devnull], ["tcpdump", "-nn", "-r", path]):
        program = str(command[0])
        done = subprocess.run(
            [tool(program), *command[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            said.append(f"{program}: exit code {done.returncode}")
        for line in done.stderr.splitlines():
            usual = line.startswith(("reading from file ", "Running as user"))
            said += [] if usual else [f"{program}: {line}"]
    return said


def unaccounted(report: Json, sent: int) -> list[str]:
    """Return what is wrong with the ledger of a capture to whose only port `sent` frames went."""
    port = report["ports"][0]
    parts = port["stored"] + port["filtered"] + port["excess"]
    parts += sum(count for where, count in port["dropped"].items() if where != "adapter")
    lost = sum(port["dropped"].values())
    kept = [
        (report["balanced"] is True, f"balanced is {report['balanced']}"),
        (port["derived"] == [], f"derived is {port['derived']}"),
        (port["offered"] == sent, f"{port['offered']} offered, {sent} sent"),
        (port["offered"] == parts, f"{port['offered']} offered, but {parts} in the parts"),
        (report["lost"] == lost, f"lost is {report['lost']}, dropped {lost}"),
        (port["wire"]["agrees"] is True, f"wire: {port['wire']}"),
    ]
    return [sentence for true, sentence in kept if not true]


# --- running ------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one turn came to: what is wrong with it, and the figures that are added up."""

    wrong: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    counts: bool = True
    """Whether the turn did what it was for; else it is repeated with another seed."""


Turn = Callable[[random.Random], Outcome]

REPEATS = 5
"""How many turns a campaign tries for each that counts before it gives up."""


@dataclass
class Tally:
    """The turns of one kind, added up."""

    kind: str
    turns: int = 0
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    def row(self) -> str:
        """A row of docs/results.md."""
        figures = ", ".join(f"{value:,} {name}" for name, value in self.figures.items())
        again = f" (and {self.repeated} that did not count)" if self.repeated else ""
        verdict = "as promised" if not self.wrong else f"{len(self.wrong)} broken promises"
        return f"| {self.kind} | {self.turns}{again} | {figures} | {verdict} |"


def repeat(kind: str, turn: Turn, turns: int, seed: int) -> Tally:
    """Run `turn` until `turns` of them counted, each with a seed of its own, which is printed."""
    tally = Tally(kind)
    for number in itertools.count():
        if tally.turns == turns:
            break
        if number == REPEATS * turns:
            tally.wrong.append(f"only {tally.turns} of {turns} turns did what they were for")
            break
        turn_seed = f"{seed}.{kind}.{number}"
        begun = time.monotonic()
        try:
            outcome = turn(random.Random(turn_seed))
        except (AssertionError, OSError, ValueError) as error:
            outcome = Outcome([f"{type(error).__name__}: {error}"])
        took_s = time.monotonic() - begun
        told = " ".join(f"{name}={value}" for name, value in outcome.figures.items())
        if not (outcome.counts or outcome.wrong):
            print(f"{turn_seed}: does not count, {told} ({took_s:.1f} s)", flush=True)
            tally.repeated += 1
            continue
        tally.turns += 1
        for name, value in outcome.figures.items():
            tally.figures[name] = tally.figures.get(name, 0) + value
        tally.wrong += [f"{turn_seed}: {sentence}" for sentence in outcome.wrong]
        verdict = "; ".join(outcome.wrong) or "ok"
        print(f"{turn_seed}: {verdict}: {told} ({took_s:.1f} s)", flush=True)
    return tally


def conclude(title: str, tallies: Sequence[Tally]) -> int:
    """Print the table for docs/results.md and what was broken; return the exit code."""
    print(f"\n| {title} | turns | in all | result |\n|---|---|---|---|")
    for tally in tallies:
        print(tally.row())
    wrong = [sentence for tally in tallies for sentence in tally.wrong]
    for sentence in wrong:
        print(f"BROKEN: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes at the end, in which engines also have their RUN directory."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("FIELDTAP_RUN_DIR")
    with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
        run_dir = Path(name) / "run"
        run_dir.mkdir()
        os.environ["FIELDTAP_RUN_DIR"] = str(run_dir)
        try:
            yield Path(name)
        finally:
            if before is None:
                del os.environ["FIELDTAP_RUN_DIR"]
            else:
                os.environ["FIELDTAP_RUN_DIR"] = before


def run_campaign(purpose: str, turns: int, campaign: Callable[[int, int], int]) -> None:
    """The main() of a campaign: `campaign(turns, seed)` gives the exit code."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--turns", type=int, default=turns, help=f"how many ({turns})")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier campaign")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"{purpose}: {options.turns} turns, --seed {seed}", flush=True)
    try:
        sys.exit(campaign(options.turns, seed))
    except LabError as error:
        sys.exit(f"{error}")
