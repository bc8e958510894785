"""ft-extract on what the engine wrote: finished, still growing, or left by a kill."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import capturefile
import pytest
from capturefile import CaptureFile, complaints, write_pcap
from fieldlab import Engine, Json, Lab, ft_capture, program, running, tool, wait_until

FLOWS = 3000
FRAMES = 400_000
SOURCE_NETWORK = (198 << 24) + (18 << 16)


@contextmanager
def synthetic(link: Lab, output: Path, *options: str, **keys: object) -> Iterator[Engine]:
    """Capture frames that the engine makes itself."""
    port = "synth:" + ",".join(f"{key}={value}" for key, value in keys.items())
    with running(link.right, ft_capture("-i", port, "-w", output, *options)) as engine:
        yield engine


def captured(link: Lab, output: Path, *options: str, **keys: object) -> Json:
    """Return the report of such a capture that ends by itself."""
    with synthetic(link, output, *options, **keys) as engine:
        return engine.finish()


def extract(*options: str | Path, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    """Run ft-extract to its end, which must have `code`."""
    command = [program("ft-extract"), *options]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def source_of(flow: int) -> str:
    """Return the address that synthetic flow `flow` comes from."""
    number = SOURCE_NETWORK + flow
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def told(capture: CaptureFile) -> list[tuple[int, int, bytes]]:
    """Return what must be equal of two captures' frames."""
    return [(packet.stamp_ns, packet.length_bytes, packet.data) for packet in capture.packets]


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed"])
def test_a_flow_comes_out_as_tcpdump_finds_it(link: Lab, tmp_path: Path, indexed: bool) -> None:
    source, report = tmp_path / "x.pcapng", tmp_path / "report.json"
    captured(link, source, size=64, flows=FLOWS, live=16, count=FRAMES)
    if not indexed:
        Path(f"{source}.idx").unlink()
    flow = 1234
    port = 1024 + flow
    asked = f"{source_of(flow)}:{port},198.19.0.1:9,udp"
    extract(source, "-w", tmp_path / "flow.pcapng", "--flow", asked, "--report", report)
    expression = f"udp and host {source_of(flow)} and port {port} and port 9"
    extract(source, "-w", tmp_path / "filter.pcapng", "-f", expression)
    raw = tmp_path / "theirs.pcap"
    command = [tool("tcpdump"), "--nano", "-r", str(source), "-w", str(raw), expression]
    subprocess.run(command, check=True, capture_output=True)
    theirs = capturefile.frames_of_any(raw, tmp_path / "scratch")
    ours = capturefile.read(tmp_path / "flow.pcapng")
    assert theirs
    assert ours.frames == theirs
    assert told(capturefile.read(tmp_path / "filter.pcapng")) == told(ours)
    found = json.loads(report.read_text())
    assert found["packets"] == len(theirs)
    assert found["files"][0]["indexed"] == indexed
    assert (found["chunks_skipped"] > 0) == indexed
    assert complaints(tmp_path / "flow.pcapng") == []


def test_the_files_of_a_ring_come_out_as_one_in_order(link: Lab, tmp_path: Path) -> None:
    ring = tmp_path / "ring"
    ring.mkdir()
    options = ["-b", "packets:50000"]
    captured(link, ring / "x.pcapng", *options, size=64, flows=10, count=FRAMES)
    assert len(list(ring.glob("*.pcapng"))) == FRAMES // 50000
    extract(ring, "-w", tmp_path / "all.pcapng")
    capture = capturefile.read(tmp_path / "all.pcapng")
    stamps = [packet.stamp_ns for packet in capture.packets]
    assert len(stamps) == FRAMES
    assert stamps == sorted(stamps)
    assert capture.interfaces == ["synth"]
    some = tmp_path / "some.pcapng"
    times = [f"{stamp // 10**9}.{stamp % 10**9:09}" for stamp in (stamps[1000], stamps[2000])]
    extract(ring, "-w", some, "--from", times[0], "--to", times[1])
    assert [packet.stamp_ns for packet in capturefile.read(some).packets] == [
        stamp for stamp in stamps if stamps[1000] <= stamp < stamps[2000]
    ]


def test_a_running_capture_can_be_read_and_is_not_disturbed(link: Lab, tmp_path: Path) -> None:
    source = tmp_path / "x.pcapng"
    with synthetic(link, source, size=64, flows=10, rate="20kpps") as engine:
        partial = Path(f"{source}.partial")
        wait_until("chunks are written", lambda: engine.status()["ports"][0]["stored"] > 40000)
        extract(partial, "-w", tmp_path / "early.pcapng")
        assert b"running capture" in extract("--repair", partial, code=1).stderr
        report = engine.stop()
    assert report["balanced"]
    early = told(capturefile.read(tmp_path / "early.pcapng"))
    assert early
    assert told(capturefile.read(source))[: len(early)] == early


@pytest.mark.parametrize("rate", ["100pps", "500kpps"])
def test_what_a_kill_left_is_mended_silently_readable_and_tells_no_lie(
    link: Lab, tmp_path: Path, rate: str
) -> None:
    source = tmp_path / "x.pcapng"
    with synthetic(link, source, size=64, flows=10, rate=rate) as engine:
        wait_until("frames are stored", lambda: engine.status()["ports"][0]["stored"] > 50)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    extract("--repair", f"{source}.partial")
    assert not Path(f"{source}.partial").exists()
    assert complaints(source) == []
    walked = json.loads(extract("--verify", source).stdout)["files"][0]
    assert walked["error"] is None
    assert {gap["what"] for gap in walked["gaps"]} <= {"unmarked", "mended"}
    before = source.read_bytes()
    extract("--repair", source)
    assert source.read_bytes() == before


def test_the_walk_finds_what_the_capture_reported(link: Lab, tmp_path: Path) -> None:
    source = tmp_path / "x.pcapng"
    report = captured(link, source, size=128, flows=100, count=50000)
    walked = json.loads(extract("--verify", source).stdout)["files"][0]
    assert walked["gaps"] == []
    assert walked["packets"] == report["files"][0]["packets"]
    assert walked["bytes"] == report["files"][0]["bytes"]
    assert walked["sha256"] == report["files"][0]["sha256"]
    assert walked["first_ns"] == report["files"][0]["first_ns"]
    assert walked["last_ns"] == report["files"][0]["last_ns"]
    assert walked["chunks"]["count"] == walked["chunks"]["intact"]
    assert walked["interfaces"][0]["statistics"]["received"] == report["ports"][0]["offered"]


def test_frames_go_to_stdout_as_well(link: Lab, tmp_path: Path) -> None:
    source = tmp_path / "x.pcapng"
    captured(link, source, size=64, flows=10, count=5000)
    (tmp_path / "out.pcapng").write_bytes(extract(source, "-w", "-").stdout)
    assert len(capturefile.read(tmp_path / "out.pcapng").frames) == 5000
    piped = subprocess.run(
        [program("ft-extract"), "-", "-w", "-"],
        input=(tmp_path / "out.pcapng").read_bytes(),
        capture_output=True,
        check=True,
    )
    (tmp_path / "again.pcapng").write_bytes(piped.stdout)
    again = capturefile.read(tmp_path / "again.pcapng")
    assert told(again) == told(capturefile.read(source))


# Options of ft-extract, the exit code, and what the line must name. {tmp} and {source} (a sound
# capture) are filled in.
REFUSED = {
    "no input": ("-w {tmp}/x", 2, "no input"),
    "no output": ("{source}", 2, "-w is missing"),
    "a filter without an output": ("{source} --repair -f tcp", 2, "-w is missing"),
    "bad filter": ("{source} -w {tmp}/x -f 'udp prot 53'", 2, "-f 'udp prot 53'"),
    "unknown option": ("{source} -w {tmp}/x --frobnicate", 2, "--frobnicate: unknown option"),
    "unknown letter": ("{source} -w {tmp}/x -Z", 2, "-Z: unknown option"),
    "no time between": ("{source} -w {tmp}/x --from 2 --to 2", 2, "later than --from"),
    "bad time": ("{source} -w {tmp}/x --from noon", 2, "--from: 'noon'"),
    "bad flow": ("{source} -w {tmp}/x --flow 1.2.3.4,5.6.7.8,tcp", 2, "--flow 1.2.3.4"),
    "no such file": ("{tmp}/none -w {tmp}/x", 1, "{tmp}/none"),
    "no capture": ("/etc/passwd -w {tmp}/x", 1, "/etc/passwd"),
    "folder without captures": ("{tmp}/empty -w {tmp}/x", 1, "{tmp}/empty"),
    "output in no folder": ("{source} -w {tmp}/no/x", 1, "-w {tmp}/no/x"),
    "output is a folder": ("{source} -w {tmp}", 2, "-w {tmp}: is a directory"),
    "report in no folder": ("{source} -w {tmp}/x --report {tmp}/no/r", 1, "--report {tmp}/no/r"),
    "both to stdout": ("{source} -w - --report -", 2, "only one can go to stdout"),
    "repair of no capture": ("--repair /etc/passwd", 1, "/etc/passwd"),
    "link types that differ": ("{source} {tmp}/raw.pcap -w {tmp}/x", 2, "link type"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_ft_extract_refuses_in_one_line_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    template, code, named = REFUSED[case]
    source = write_pcap(tmp_path / "source.pcap", [bytes(60)])
    raw = bytearray(source.read_bytes())
    raw[20] = 101
    (tmp_path / "raw.pcap").write_bytes(raw)
    (tmp_path / "empty").mkdir()
    names = {"tmp": str(tmp_path), "source": str(source)}
    before = sorted(path.name for path in tmp_path.iterdir())
    words = re.findall(r"'([^']*)'|(\S+)", template.format(**names))
    done = extract(*[quoted or plain for quoted, plain in words], code=code)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("ft-extract: ")
    assert named.format(**names) in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
