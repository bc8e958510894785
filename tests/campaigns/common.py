"""What campaigns share: the sender of stamped frames, the ledger's sums, turns and their table.

A campaign draws everything random from the seed of its turn, which is printed, so that a turn can
be run again. What is wrong with a turn is a list of sentences: none means that it kept its promise.
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


# --- judging -------------------------------------------------------------------------------------


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

FAILURES = (AssertionError, OSError, ValueError, struct.error, subprocess.SubprocessError)
"""What a turn that meets a broken promise may raise; anything else is a mistake of ours."""

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
        except FAILURES as error:
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
