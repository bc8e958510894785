"""Devices that impair frames at random: the generator counts exactly what they did, and how long.

A stand-in device lies between two ports of the generator. What it did is known from its own log,
and when its frames came from a listener beside the generator; the same is counted from these two by
other means, and must be what the report says: loss, copies, order and damage to the frame, latency
to the slot of the histogram.
"""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fieldlab import CHECKOUT, END_TIMEOUT_S, End, Json, Lab, ft_generate, lab, running, tool
from hdrh.histogram import HdrHistogram

from campaigns.common import Outcome, conclude, repeat, run_campaign, scratch

TURNS = 40
HIGHEST_NS, DIGITS = 100_000_000_000, 3
SENT_BITS = 48
FIELDS = (4, 6), (6, 10), (10, 16)
"""Where in the last 16 bytes of a frame are its stream, its number and when it was sent."""

Settings = dict[str, int | float]
"""Those of tests/standin_device.py."""


# --- the device ---------------------------------------------------------------------------------


@dataclass
class Device:
    """A stand-in device and the listener behind it; `done` and `passed` are there once it ended."""

    out: End
    """Where its frames come out: a port of the generator's."""
    log: Path
    heard: Path
    done: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    """Frames that the listener did not get to see."""

    def passed(self) -> list["Passed"]:
        """What came out, line by line of both logs: a virtual link keeps frames in order."""
        sent, seen = self.log.read_text().splitlines(), self.heard.read_text().splitlines()
        if len(sent) != len(seen):
            raise AssertionError(f"{len(sent)} frames went out, {len(seen)} were heard")
        pairs = zip(sent, seen, strict=True)
        return [_passed(line.split()[0], *came.split()) for line, came in pairs]


@dataclass(frozen=True)
class Passed:
    """A frame that came out: what it was, what it carried, and the kernel's stamp behind."""

    kind: str
    stream: int
    number: int
    sent_low_ns: int
    stamp_ns: int

    @property
    def latency_ns(self) -> int:
        """How long it was under way."""
        return (self.stamp_ns - self.sent_low_ns) % (1 << SENT_BITS)


@contextmanager
def device(loop: Lab, folder: Path, settings: Settings) -> Iterator[Device]:
    """Put a device behind the right end of `loop`; it ends with the block."""
    ip, end = tool("ip"), loop.left
    end.run(ip, "link", "add", "ft-behind", "type", "veth", "peer", "name", "ft-out")
    try:
        for port in ("ft-behind", "ft-out"):
            end.run(ip, "link", "set", port, "up")
        made = Device(End(end.namespace, "ft-out"), folder / "device.log", folder / "heard.log")
        words = json.dumps(settings | {"log": str(made.log)})
        with (
            _helper(end, "standin_device.py", loop.right.port, "ft-behind", words) as carrying,
            _helper(end, "stamp_listener.py", "ft-out", made.heard) as listening,
        ):
            yield made
            made.done = json.loads(_end(carrying))
            made.missed = int(_end(listening))
    finally:
        end.run(ip, "link", "del", "ft-behind", check=False)


@contextmanager
def _helper(end: End, script: str, *words: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
    argv = (sys.executable, CHECKOUT / "tests" / script, *words)
    process = end.start(*argv, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _end(process: "subprocess.Popen[bytes]") -> bytes:
    """End a helper; return its last words."""
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=END_TIMEOUT_S)[0]


def _passed(kind: str, stamp_ns: str, tail: str) -> Passed:
    end = bytes.fromhex(tail)
    stream, number, sent_ns = (int.from_bytes(end[a:b], "big") for a, b in FIELDS)
    return Passed(kind, stream, number, sent_ns, int(stamp_ns))


# --- counting by other means --------------------------------------------------------------------


@dataclass
class Expected:
    """What a generator must have counted."""

    frames: int = 0
    duplicate: int = 0
    reordered: int = 0
    corrupt: int = 0
    foreign: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    """Of frames that came for the first time."""


def expect(passed: list[Passed]) -> Expected:
    """Count with plain sets what came out of a device."""
    counted, seen, highest = Expected(), set[tuple[int, int]](), Counter[int]()
    for frame in passed:
        if frame.kind != "own":
            counted.corrupt += frame.kind == "damaged"
            counted.foreign += frame.kind == "foreign"
            continue
        counted.frames += 1
        if (frame.stream, frame.number) in seen:
            counted.duplicate += 1
            continue
        seen.add((frame.stream, frame.number))
        counted.reordered += frame.number < highest[frame.stream]
        highest[frame.stream] = max(highest[frame.stream], frame.number)
        counted.latencies_ns.append(frame.latency_ns)
    return counted


def slots(histogram: HdrHistogram) -> dict[int, int]:
    """The counts of a histogram's slots, by the highest value of each."""
    return {
        item.value_iterated_to: item.count_at_value_iterated_to
        for item in histogram.get_recorded_iterator()
    }


def histogram_of(latencies_ns: list[int]) -> HdrHistogram:
    """HdrHistogram's own account of the latencies."""
    histogram = HdrHistogram(1, HIGHEST_NS, DIGITS)
    for latency_ns in latencies_ns:
        histogram.record_value(latency_ns)
    return histogram


def judge_stream(stream: Json, passed: list[Passed]) -> list[str]:
    """Return what the report counts otherwise of one of its streams."""
    own = [frame for frame in passed if frame.stream == stream["id"] and frame.kind == "own"]
    expected = expect(own)
    lost = stream["tx"] - len(expected.latencies_ns)
    samples = stream["latency_ns"]["samples"] if stream["latency_ns"] else 0
    kept = [
        (stream["rx"] == expected.frames, f"{stream['rx']} received, {expected.frames} came"),
        (stream["lost"] == lost, f"{stream['lost']} lost, {lost} did not come"),
        (samples == len(expected.latencies_ns), f"{samples} latencies"),
    ]
    for name in ("duplicate", "reordered"):
        truth = getattr(expected, name)
        kept.append((stream[name] == truth, f"{stream[name]} {name}, {truth} were"))
    return [f"stream {stream['id']}: {sentence}" for true, sentence in kept if not true]


def judge_counts(report: Json, passed: list[Passed]) -> list[str]:
    """Return what the report counts otherwise than the device and the listener do."""
    expected, rx = expect(passed), report["rx"]
    lost = report["tx"]["frames"] - len(expected.latencies_ns)
    kept = [
        (rx["frames"] == expected.frames, f"{rx['frames']} frames, {expected.frames} came"),
        (rx["lost"] == lost, f"{rx['lost']} lost, {lost} did not come"),
        (rx["receiver_dropped"] == 0, f"dropped here: {rx['dropped']}"),
        (rx["too_late"] == 0, f"{rx['too_late']} too late"),
    ]
    for name in ("duplicate", "reordered", "corrupt", "foreign"):
        truth = getattr(expected, name)
        kept.append((rx[name] == truth, f"{rx[name]} {name}, {truth} were"))
    # Where the signature itself was damaged, nobody knows the stream.
    known = sum(stream["corrupt"] for stream in report["streams"])
    kept.append((known <= expected.corrupt, f"{known} corrupt of known streams"))
    wrong = [sentence for true, sentence in kept if not true]
    return wrong + [line for stream in report["streams"] for line in judge_stream(stream, passed)]


def judge_latency(report: Json, passed: list[Passed], delay_ns: int) -> list[str]:
    """Return where the report's latencies are not those heard, or below what the device added."""
    latencies_ns = sorted(expect(passed).latencies_ns)
    if not latencies_ns:
        return [] if report["latency_ns"] is None else ["latencies of no frames"]
    told, truth = report["latency_ns"], histogram_of(latencies_ns)
    kept = [
        (told["min"] >= delay_ns, f"min {told['min']}, the device added {delay_ns}"),
        (told["samples"] == len(latencies_ns), f"{told['samples']} samples"),
        (told["min"] == latencies_ns[0], f"min {told['min']}, was {latencies_ns[0]}"),
        (told["max"] == latencies_ns[-1], f"max {told['max']}, was {latencies_ns[-1]}"),
        (
            slots(HdrHistogram.decode(told["histogram"])) == slots(truth),
            "the histogram is not that of the latencies heard",
        ),
    ]
    for name, percent in (("p50", 500), ("p99", 990), ("p999", 999)):
        exact = latencies_ns[-(-len(latencies_ns) * percent // 1000) - 1]
        right = truth.values_are_equivalent(told[name], exact)
        kept.append((right, f"{name} {told[name]}, was {exact}"))
    return [sentence for true, sentence in kept if not true]


# --- turns --------------------------------------------------------------------------------------


def draw_settings(random: random.Random) -> Settings:
    """A device with some misfortunes, of shares up to a twentieth."""
    settings: Settings = {"seed": random.randrange(1 << 32), "depth": random.choice([1, 4, 60])}
    for kind in ("lost", "doubled", "held", "damaged", "tagged", "foreign"):
        if random.random() < 0.6:
            settings[kind] = random.choice([0.001, 0.01, 0.05])
    if random.random() < 0.5:
        settings["delay_ns"] = random.randrange(5_000_000)
    return settings


KINDS = (
    "",
    'ipv4.source = { random = "198.18.0.0/16" }',
    "vlan = [{ id = 100 }, { id = 200 }]",
    "mpls = [{ label = 16 }, { label = { count = [100, 103] } }]",
    "ipv6 = {}",
    "ipv6 = {}\ntcp = {}",
    "tcp = {}",
    "icmp = {}",
)
"""What streams carry; one of the first kind is sent without a stream file."""


def draw_streams(random: random.Random, rate_pps: int, count: int) -> str:
    """Some streams that together have `rate_pps` and `count` frames."""
    kinds = random.sample(KINDS, random.randrange(2, 5))
    share = count // len(kinds)
    return "".join(
        f"[[stream]]\nname = 's{number}'\nrate = '{rate_pps / len(kinds)}pps'\ncount = {share}\n"
        f"size = {random.choice(('128', '[100, 700]', '1500'))}\n{kind}\n"
        for number, kind in enumerate(kinds)
    )


def draw_fault(random: random.Random, rate_pps: int, count: int) -> Settings:
    """In some turns a device that is too slow, or whose link goes down and comes back."""
    match random.randrange(5):
        case 0:
            cap = random.uniform(0.3, 0.9) * rate_pps
            return {"rate_pps": cap, "queue": random.choice([4, 50, 500])}
        case 1:
            return {"flap_at": random.randrange(1, count), "flap_s": random.uniform(0.05, 0.3)}
    return {}


def judge_validity(report: Json, settings: Settings) -> list[str]:
    """A device's faults leave a run valid; a link that goes down does not."""
    reason = report["invalid_reason"] or ""
    if "flap_at" in settings:
        return [] if "link of port ft-out" in reason else [f"a link was down: {reason!r}"]
    if reason and "rate" not in reason:  # this machine may be too busy to keep a rate
        return [f"not valid: {reason}"]
    return []


def measure(random: random.Random, loop: Lab, folder: Path) -> Outcome:
    """Send through a device drawn at random, and judge the report."""
    rate_pps, count = random.choice([2000, 5000, 8000]), random.randrange(500, 4000)
    size = random.choice([64, 128, 129, 512, 1518])
    settings = draw_settings(random) | draw_fault(random, rate_pps, count)
    options = ["--count", str(count), "--rate", f"{rate_pps}pps", "--size", str(size)]
    if random.random() < 0.5:
        streams = folder / "streams.toml"
        streams.write_text(draw_streams(random, rate_pps, count))
        options = ["--streams", str(streams)]
    with device(loop, folder, settings) as made:
        # By a back end that needs no probing: probe frames would be heard too.
        ports = ("-o", f"afpacket:{loop.left.port}", "-r", made.out.port)
        argv = ft_generate(*ports, *options)
        with running(loop.left, argv, name="gen", wait=False) as generator:
            report = generator.finish()
    rx, figures = report["rx"], {"frames": report["tx"]["frames"]}
    for name in ("lost", "duplicate", "reordered", "corrupt", "foreign"):
        figures[name] = rx[name]
    # What this machine was too slow for is no turn; that it says so is another test.
    counts = made.missed == 0 and rx["receiver_dropped"] == 0
    wrong = judge_validity(report, settings)
    if counts:
        passed = made.passed()
        wrong += judge_counts(report, passed)
        wrong += judge_latency(report, passed, int(settings.get("delay_ns", 0)))
    return Outcome([*wrong, f"device {settings}"] if counts and wrong else [], figures, counts)


def campaign(turns: int, seed: int) -> int:
    """Measure `turns` devices; return the exit code."""
    with scratch() as folder, lab(together=True) as loop:
        tally = repeat("measuring", lambda random: measure(random, loop, folder), turns, seed)
    return conclude("devices that impair frames", [tally])


if __name__ == "__main__":
    run_campaign("Measure devices that impair frames at random", TURNS, campaign)
