"""Kill a capture at a random moment: what it had for a second is in the repaired file.

The sender is another process, which stamps each frame and logs how many it had sent when. After
the kill the file is repaired, by `ft-extract --repair` or by the next start of the engine on the
same output. Then nothing that was sent a second before the kill or earlier may be missing, nothing
may be in it that was not sent, nothing twice, nothing may be missing in between, and tshark and
tcpdump read the file without a word.
"""

import random
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fieldlab import Lab, capturing, lab, program

from campaigns.common import (
    NS_PER_S,
    Outcome,
    conclude,
    repeat,
    run_campaign,
    scratch,
    sending,
    sent_by,
    stop_sending,
)
from campaigns.frames import Stream, complaints, only_stream

TURNS = 200
GRACE_NS = NS_PER_S
"""What is younger than this at the kill may be missing."""
MOST_S = 4.0
SLOW_PPS, FULL_PPS = 100, 0
"""Full is as fast as the sender can; where that loses frames, the turn does not count."""
ROTATION = {SLOW_PPS: 25, FULL_PPS: 100_000}
REPAIR_TIMEOUT_S = 120
OTHERS = {".torn", ".idx", ".keep"}


@dataclass(frozen=True)
class Kind:
    """One kind of crash."""

    rate_pps: int
    rotates: bool
    by_restart: bool
    """Repaired by the next start of the engine, else by ft-extract."""

    @property
    def options(self) -> tuple[str, ...]:
        return ("-b", f"packets:{ROTATION[self.rate_pps]}") if self.rotates else ()

    @property
    def name(self) -> str:
        rate = f"{self.rate_pps} frames/s" if self.rate_pps else "full rate"
        rotation = "rotating" if self.rotates else "one file"
        repair = "next start" if self.by_restart else "ft-extract"
        return f"{rate}, {rotation}, repaired by {repair}"


KINDS = [
    Kind(rate_pps, rotates, by_restart)
    for rate_pps in (SLOW_PPS, FULL_PPS)
    for rotates in (False, True)
    for by_restart in (False, True)
]


def crash_once(
    random: random.Random, kind: Kind, link: Lab, folder: Path, most_s: float
) -> Outcome:
    """Capture a stream, kill the engine at a random moment, repair and judge."""
    out, log = folder / "out", folder / "sent.log"
    out.mkdir()
    output = out / "x.pcapng"
    with (
        capturing(link.right, output, "-d", "in", "--buffer", "256MiB", *kind.options) as engine,
        sending(link.left, "-r", kind.rate_pps, "-l", log) as stream,
    ):
        time.sleep(random.uniform(0.3, most_s))
        killed_ns = time.time_ns()
        engine.send_signal(signal.SIGKILL)
        engine.process.wait()
        sent = stop_sending(stream)
    repair(kind, link, output)
    return judge(kept_files(out), sent_by(log, killed_ns - GRACE_NS), sent, killed_ns)


def repair(kind: Kind, link: Lab, output: Path) -> None:
    """Mend what the dead engine left; AssertionError where the program says that it cannot."""
    if kind.by_restart:
        with capturing(link.right, output, "-d", "in", *kind.options) as engine:
            engine.stop()
        return
    for torn in sorted(output.parent.glob("*.pcapng.partial")):
        repair_file(torn)


def repair_file(torn: Path) -> None:
    """Mend one file by ft-extract."""
    done = subprocess.run(
        [program("ft-extract"), torn, "--repair"],
        capture_output=True,
        text=True,
        check=False,
        timeout=REPAIR_TIMEOUT_S,
    )
    assert done.returncode == 0, f"ft-extract --repair: {done.returncode}: {done.stderr.strip()}"


def kept_files(folder: Path) -> list[Path]:
    """The captures in a folder: not what was cut off, nor indexes and reports."""
    return [
        path
        for path in sorted(folder.iterdir())
        if ".pcapng" in path.name and not OTHERS & set(path.suffixes)
    ]


def judge(files: Sequence[Path], due: int, sent: int, cut_ns: int) -> Outcome:
    """The files hold the first `due` frames and perhaps later ones, each as sent and once."""
    streams = [(path, only_stream(path)) for path in files]
    seen = Stream()
    # A file of the next start, and names of files set aside, sort elsewhere than their frames.
    for _, stream in sorted(streams, key=lambda item: item[1].numbers[:1]):
        seen.extend(stream)
    have, lost = len(seen.numbers), seen.dropped > 0
    # Losses that are told are the ledger's business: such a turn says little about crashes.
    kept = [
        (lost or have >= due, f"{due} frames were due, {have} are there"),
        (lost or seen.gap() is None, f"gap: {seen.gap()}"),
        (seen.foreign == 0, f"{seen.foreign} frames that were not sent"),
        (have <= sent, f"{have} frames of {sent} sent"),
        (seen.numbers[:1] in ([0], []), f"the first is {seen.numbers[:1]}"),
        (not seen.numbers or max(seen.stamps_ns) <= cut_ns + NS_PER_S, "a frame of later"),
    ]
    wrong = [sentence for true, sentence in kept if not true]
    for path in files:
        wrong += [f"{path.name}: {line}" for line in complaints(path)]
    return Outcome(wrong, {"frames due": due, "there": have, "sent": sent}, counts=not lost)


def receive_offload(link: Lab) -> str:
    """Whether GRO of the captured port is on."""
    told = link.right.run("ethtool", "-k", link.right.port).stdout
    (line,) = (line for line in told.splitlines() if line.startswith("generic-receive-offload:"))
    return line.split()[1]


def campaign(turns: int, seed: int, most_s: float = MOST_S) -> int:
    """Share `turns` kills among the kinds, each within `most_s`; return the exit code."""
    tallies = []
    for index, kind in enumerate(KINDS):
        share = (turns + index) // len(KINDS)

        def turn(random: random.Random, kind: Kind = kind) -> Outcome:
            with scratch() as folder, lab() as link:
                link.right.run("ethtool", "-K", link.right.port, "gro", "on")
                outcome = crash_once(random, kind, link, folder, most_s)
                if not kind.by_restart:
                    with capturing(link.right, "null:") as engine:
                        engine.stop()
                if receive_offload(link) != "on":
                    outcome.wrong.append("the next start did not put GRO back")
                return outcome

        tallies.append(repeat(kind.name, turn, share, seed))
    return conclude("kill -9", tallies)


if __name__ == "__main__":
    run_campaign("Kill captures at random moments", TURNS, campaign)
