"""Captures started and stopped inside a running numbered stream lose nothing at either edge."""

import random
import signal
import time
from pathlib import Path

from fieldlab import End, Json, call, capturing, lab, wait_until

from campaigns.common import Outcome, conclude, repeat, run_campaign, scratch, sending
from campaigns.frames import only_stream

TURNS = 100
RATES_PPS = (1000, 20_000, 200_000, 0)
"""The last is as fast as the sender can."""


def capture_once(random: random.Random, end: End, output: Path) -> Json:
    """Capture for a random while, ended by a signal or by a client."""
    with capturing(end, output, "-d", "in") as engine:
        if random.random() < 0.7:
            wait_until("a frame is stored", lambda: engine.status()["ports"][0]["stored"])
            time.sleep(random.uniform(0, 0.3))
        if random.random() < 0.3:
            call(engine.socket, "stop")
            return engine.finish()
        return engine.stop(random.choice([signal.SIGINT, signal.SIGTERM]))


def judge(report: Json, output: Path) -> Outcome:
    """The file holds every number from the first to the last, and the ledger says the same."""
    seen, port = only_stream(output), report["ports"][0]
    numbers = seen.numbers
    span = numbers[-1] - numbers[0] + 1 if numbers else 0
    wire = port["wire"]
    kept = [
        (seen.gap() is None, f"{seen.gap()}"),
        (seen.foreign == 0, f"{seen.foreign} frames that were not sent"),
        (port["stored"] == span, f"{port['stored']} stored, {span} from first to last"),
        (report["lost"] == 0, f"{report['lost']} lost: {port['dropped']}"),
        (report["balanced"] is True, f"balanced is {report['balanced']}"),
        (wire["agrees"] is True, f"{port['offered']} offered, wire {wire}"),
    ]
    wrong = [sentence for true, sentence in kept if not true]
    return Outcome(wrong, {"frames": span, "lost": report["lost"]})


def campaign(turns: int, seed: int) -> int:
    """Share `turns` captures among streams of several rates; return the exit code."""
    tallies = []
    for index, rate_pps in enumerate(RATES_PPS):
        share = (turns + index) // len(RATES_PPS)
        paced = ("-r", rate_pps) if rate_pps else ()
        with scratch() as folder, lab() as link, sending(link.left, *paced) as stream:
            output = folder / "x.pcapng"

            def turn(
                random: random.Random, end: End = link.right, output: Path = output
            ) -> Outcome:
                output.unlink(missing_ok=True)
                return judge(capture_once(random, end, output), output)

            kind = f"{rate_pps} frames/s" if rate_pps else "top speed"
            tally = repeat(f"edges at {kind}", turn, share, seed)
            if stream.poll() is not None:
                tally.wrong.append("the stream ended before the captures did")
            tallies.append(tally)
    return conclude("captures inside a running stream", tallies)


if __name__ == "__main__":
    run_campaign("Start and stop captures inside a running stream", TURNS, campaign)
