"""Numbered frames across hundreds of rotations: none missing between two files, none in both."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fieldlab import Engine, Json, Lab, call, ft_capture, lab, running, wait_until

from campaigns.common import (
    Outcome,
    conclude,
    repeat,
    run_campaign,
    scratch,
    send,
    sending,
    stop_sending,
)
from campaigns.frames import Stream, complaints, read

TURNS = 500
"""Rotations, in all settings together."""
KEPT_FILES = 5


@dataclass(frozen=True)
class Setting:
    """One way to rotate, and what traffic makes it rotate `rotations` times."""

    name: str
    options: Callable[[int], Sequence[str]]
    drive: Callable[[Lab, Engine, int], int]
    """Send what makes it rotate so often; return how many frames were sent."""
    two_ports: bool = False
    keeps_all: bool = True
    extension: str = "pcapng"


def send_for(frames_per_file: int, size_bytes: int = 60) -> Callable[[Lab, Engine, int], int]:
    """As many frames as fill `rotations` files and half of one more."""

    def drive(link: Lab, _engine: Engine, rotations: int) -> int:
        frames = frames_per_file * rotations + frames_per_file // 2
        return send(link.left, frames, "-r", 100_000, "-s", size_bytes)

    return drive


def send_while(rotate: Callable[[Engine, int], None]) -> Callable[[Lab, Engine, int], int]:
    """A stream that flows while `rotate` sees to it that the capture rotates."""

    def drive(link: Lab, engine: Engine, rotations: int) -> int:
        with sending(link.left, "-r", 5000) as stream:
            rotate(engine, rotations)
            return stop_sending(stream)

    return drive


def wait_s(_engine: Engine, rotations: int) -> None:
    """Rotations come once a second by themselves."""
    time.sleep(rotations + 0.5)


def ask(engine: Engine, rotations: int) -> None:
    """Ask for each rotation over the control socket."""
    for _ in range(rotations):
        call(engine.socket, "rotate")
        time.sleep(random.uniform(0, 0.1))


def ask_and_wait(engine: Engine, rotations: int) -> None:
    """Half by request, the others as time and number of frames will have it."""
    ask(engine, rotations // 2)
    wait_s(engine, rotations // 4)


def drive_both_ways(link: Lab, _engine: Engine, rotations: int) -> int:
    """Frames from both ends of the link at once; each port takes those that arrive at it."""
    with sending(link.left, "-r", 20_000) as one, sending(link.right, "-r", 20_000) as other:
        time.sleep(rotations / 20)
        return stop_sending(one) + stop_sending(other)


SETTINGS = (
    Setting("packets", lambda _: ("packets:1000",), send_for(1000)),
    # 250 bytes take more than 292 in the file, so that 1000 frames fill at least one.
    Setting("size", lambda _: ("filesize:256",), send_for(1000, 250)),
    Setting("duration", lambda _: ("duration:1",), send_while(wait_s)),
    Setting("interval", lambda _: ("interval:1",), send_while(wait_s)),
    Setting("on request", lambda _: ("duration:3600",), send_while(ask)),
    Setting(
        "packets, size, duration and on request",
        lambda _: ("packets:700", "filesize:128", "duration:1"),
        send_while(ask_and_wait),
    ),
    Setting(
        f"packets, only {KEPT_FILES} files kept",
        lambda _: ("packets:500", f"files:{KEPT_FILES}"),
        send_for(500),
        keeps_all=False,
    ),
    Setting("two ports, packets", lambda _: ("packets:2000",), drive_both_ways, two_ports=True),
    Setting("pcap, packets", lambda _: ("packets:1000",), send_for(1000), extension="pcap"),
)
TIMED = ("duration", "interval")


def rotate(setting: Setting, rotations: int, folder: Path) -> Outcome:
    """Capture with rotation and judge the files."""
    output = folder / f"x.{setting.extension}"
    options = [word for value in setting.options(rotations) for word in ("-b", value)]
    with lab(together=setting.two_ports) as link:
        ports = [link.right.port, *([link.left.port] if setting.two_ports else [])]
        inputs = [word for port in ports for word in ("-i", port)]
        argv = ft_capture(*inputs, "-w", output, "-d", "in", "-F", setting.extension, *options)
        with running(link.right, argv) as engine:
            sent = setting.drive(link, engine, rotations)
            wait_until("all is stored", lambda: _stored(engine.status()) >= sent)
            report = engine.stop()
    return judge(setting, sent, rotations, report, files_in(folder, setting))


def _stored(told: Json) -> int:
    return sum(int(port["stored"]) for port in told["ports"])


def files_in(folder: Path, setting: Setting) -> list[Path]:
    """The files in the order in which they were written: their number is in the name."""
    return sorted(folder.glob(f"x_*.{setting.extension}"))


def judge(
    setting: Setting, sent: int, rotations: int, report: Json, files: Sequence[Path]
) -> Outcome:
    """The files follow each other, and hold each frame once."""
    streams = read(*files)
    frames = sum(stream.frames for stream in streams.values())
    done = int(files[-1].name.split("_")[1]) - int(files[0].name.split("_")[1]) if files else 0
    if not setting.keeps_all:
        done = int(files[-1].name.split("_")[1]) - 1
    kept = [
        (report["lost"] == 0, f"{report['lost']} lost"),
        (report["balanced"] is True, f"balanced is {report['balanced']}"),
        (_stored(report) == sent, f"{_stored(report)} stored of {sent}"),
        (done >= rotations, f"{done} rotations of {rotations}"),
        (len(streams) == 1 + setting.two_ports, f"{len(streams)} interfaces with frames"),
    ]
    if setting.keeps_all:
        kept.append((frames == sent, f"{frames} frames in the files, {sent} sent"))
    else:
        kept.append((len(files) <= KEPT_FILES, f"{len(files)} files are kept"))
    wrong = [sentence for true, sentence in kept if not true]
    for interface, stream in streams.items():
        wrong += judge_stream(setting, interface, stream, sent)
    for path in files[-1:]:
        wrong += [f"{path.name}: {line}" for line in complaints(path)]
    return Outcome(wrong, {"rotations": done, "frames": sent})


def judge_stream(setting: Setting, interface: int, stream: Stream, sent: int) -> list[str]:
    """The numbers of one interface follow each other to the last that was sent."""
    first, last = stream.numbers[0], stream.numbers[-1]
    kept = [
        (stream.foreign == 0, f"{stream.foreign} frames that were not sent"),
        (stream.gap() is None, f"{stream.gap()}"),
        (first == 0 or not setting.keeps_all, f"the first is {first}"),
        (last == sent - 1 or setting.two_ports, f"the last is {last} of {sent}"),
    ]
    return [f"interface {interface}: {sentence}" for true, sentence in kept if not true]


def campaign(turns: int, seed: int) -> int:
    """Share `turns` rotations among the settings; return the exit code."""
    timed = max(1, turns // 25)
    others = -(-(turns - len(TIMED) * timed) // (len(SETTINGS) - len(TIMED)))
    tallies = []
    for setting in SETTINGS:
        rotations = timed if setting.name in TIMED else others

        def turn(_: random.Random, setting: Setting = setting, due: int = rotations) -> Outcome:
            with scratch() as folder:
                (folder / "out").mkdir()
                return rotate(setting, due, folder / "out")

        tallies.append(repeat(setting.name, turn, 1, seed))
    done = sum(tally.figures.get("rotations", 0) for tally in tallies)
    return conclude(f"rotation by ({done} rotations in all)", tallies)


if __name__ == "__main__":
    run_campaign("Rotate inside a numbered stream", TURNS, campaign)
