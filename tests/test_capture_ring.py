"""Rings of files, what is kept of them, and the options that say how a run works inside."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import capturefile
import pytest
from fieldlab import (
    End,
    Json,
    Lab,
    call,
    capturing,
    ft_capture,
    running,
    tool,
    wait_until,
)

SENDER = Path(__file__).with_name("numbered_sender.py")
NAME = re.compile(r"ring_(\d{5})_(\d{14})\.pcapng")


def numbered(end: End, count: int) -> None:
    """Send `count` numbered frames from `end`."""
    end.run(sys.executable, SENDER, end.port, str(count))


def numbers(paths: Iterable[Path]) -> list[int]:
    """Return the numbers of the frames of several files, in order."""
    frames = [frame for path in paths for frame in capturefile.read(path).frames]
    return [int.from_bytes(frame[14:22], "big") for frame in frames]


def ring_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("ring_*.pcapng"))


def wait_until_more_than(count: int, folder: Path) -> None:
    wait_until("one more file is complete", lambda: len(ring_files(folder)) > count)


def assert_whole(report: Json) -> None:
    assert report["balanced"] is True
    assert report["lost"] == 0


@pytest.mark.parametrize("condition", ["packets:1000", "filesize:100", "duration:0.2"])
def test_every_frame_is_in_one_file_of_a_ring(link: Lab, tmp_path: Path, condition: str) -> None:
    with capturing(link.right, tmp_path / "ring.pcapng", "-b", condition) as engine:
        sent = 0
        while len(ring_files(tmp_path)) < 3:
            link.left.run(sys.executable, SENDER, link.left.port, "2500")
            sent += 1
        report = engine.stop()
    files = ring_files(tmp_path)
    assert numbers(files) == list(range(2500)) * sent
    assert [Path(file["path"]) for file in report["files"]] == files
    assert [int(NAME.fullmatch(path.name)[1]) for path in files] == list(  # type: ignore[index]
        range(1, len(files) + 1)
    )
    assert_whole(report)


def test_a_files_size_limit_is_reached_and_hardly_passed(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, tmp_path / "ring.pcapng", "-b", "filesize:200") as engine:
        numbered(link.left, 10_000)
        report = engine.stop()
    sizes = [file["size_bytes"] for file in report["files"]]
    assert len(sizes) > 3
    assert all(200_000 <= size < 220_000 for size in sizes[:-1])
    assert sizes == [path.stat().st_size for path in ring_files(tmp_path)]


def test_an_interval_ends_a_file_at_a_whole_second(link: Lab, tmp_path: Path) -> None:
    with (
        capturing(link.right, tmp_path / "ring.pcapng", "-b", "interval:1") as engine,
        link.left.start(
            sys.executable, SENDER, link.left.port, stdout=subprocess.DEVNULL
        ) as sender,
    ):
        wait_until("three files are complete", lambda: len(ring_files(tmp_path)) >= 3)
        sender.terminate()
        sender.wait()
        report = engine.stop()
    spans = [(file["first_ns"], file["last_ns"]) for file in report["files"]]
    assert all(
        earlier[1] // 1_000_000_000 <= later[0] // 1_000_000_000
        for earlier, later in pairwise(spans)
    )
    assert numbers(ring_files(tmp_path)) == list(range(report["ports"][0]["stored"]))
    assert report["balanced"] is True


def test_a_run_ends_after_so_many_files(link: Lab, tmp_path: Path) -> None:
    limits = ("-b", "packets:100", "-a", "files:3")
    with capturing(link.right, tmp_path / "ring.pcapng", *limits) as engine:
        numbered(link.left, 5000)
        report = engine.finish()
    assert report["stop_reason"] == "files"
    assert numbers(ring_files(tmp_path)) == list(range(300))
    assert report["ports"][0]["excess"] == report["ports"][0]["offered"] - 300
    assert_whole(report)


def test_a_ring_of_so_many_files_keeps_the_newest(link: Lab, tmp_path: Path) -> None:
    ring = ("-b", "packets:100", "-b", "files:3")
    with capturing(link.right, tmp_path / "ring.pcapng", *ring) as engine:
        numbered(link.left, 1050)
        report = engine.stop()
    files = ring_files(tmp_path)
    assert numbers(files) == list(range(800, 1050))
    assert [Path(file["path"]) for file in report["files"]] == files
    assert report["expired"]["files"] == 8
    assert report["expired"]["packets"] == 800
    assert_whole(report)
    assert [path for path in tmp_path.glob("ring_*.idx") if not stem(path).exists()] == []


def stem(index: Path) -> Path:
    """Return the capture that an index belongs to."""
    return index.with_name(index.name.removesuffix(".idx"))


def test_a_ring_of_so_many_bytes_keeps_the_newest(link: Lab, tmp_path: Path) -> None:
    ring = ("-b", "filesize:100", "-b", "total:500kB")
    with capturing(link.right, tmp_path / "ring.pcapng", *ring) as engine:
        numbered(link.left, 20_000)
        report = engine.stop()
    files = ring_files(tmp_path)
    kept = numbers(files)
    assert sum(path.stat().st_size for path in files) <= 500_000
    assert kept == list(range(20_000 - len(kept), 20_000))
    assert report["expired"]["packets"] == 20_000 - len(kept)
    assert_whole(report)


def test_what_is_marked_is_kept(link: Lab, tmp_path: Path) -> None:
    ring = ("-b", "packets:100", "-b", "files:2")
    with capturing(link.right, tmp_path / "ring.pcapng", *ring) as engine:
        numbered(link.left, 101)
        wait_until("the first file is complete", lambda: ring_files(tmp_path))
        (first,) = ring_files(tmp_path)
        Path(f"{first}.keep").touch()
        numbered(link.left, 1000)
        report = engine.stop()
    files = ring_files(tmp_path)
    assert files[0] == first
    assert numbers([first]) == list(range(100))
    assert len(files) <= 3
    assert report["expired"]["files"] > 0


def test_a_file_ends_on_request_and_no_frame_with_it(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, tmp_path / "ring.pcapng", "-b", "packets:1000000") as engine:
        for _ in range(3):
            numbered(link.left, 50)
            wait_until("they are stored", lambda: engine.status()["ports"][0]["stored"] % 50 == 0)
            before = len(ring_files(tmp_path))
            call(engine.socket, "rotate")
            wait_until_more_than(before, tmp_path)
        report = engine.stop()
    assert numbers(ring_files(tmp_path)) == list(range(50)) * 3
    assert_whole(report)


def test_a_ring_of_pcap_files_has_a_header_in_each(link: Lab, tmp_path: Path) -> None:
    ring = ("-b", "packets:100", "-F", "pcap")
    with capturing(link.right, tmp_path / "ring.pcap", *ring) as engine:
        numbered(link.left, 250)
        report = engine.stop()
    files = sorted(tmp_path.glob("ring_*.pcap"))
    frames = [capturefile.frames_of_any(path, tmp_path / "scratch") or [] for path in files]
    assert [len(some) for some in frames] == [100, 100, 50]
    assert [said for path in files for said in capturefile.complaints(path)] == []
    assert_whole(report)


def test_a_ring_fills_its_disk_and_ends_with_every_frame_accounted_for(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run([tool("mount"), "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], check=True)
    try:
        command = ft_capture(
            *("-i", "synth:", "-w", disk / "ring.pcapng", "-b", "packets:20000"),
            *("-c", "500000", "--report", tmp_path / "report.json"),
        )
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        report = json.loads((tmp_path / "report.json").read_text())
        files = ring_files(disk)
        assert result.returncode == 1, result.stderr
        assert report["balanced"] is True
        assert report["ports"][0]["dropped"]["disk"] > 0
        assert sum(len(capturefile.read(path).frames) for path in files) == sum(
            port["stored"] for port in report["ports"]
        )
        assert [Path(file["path"]) for file in report["files"]] == files
        assert sum(path.stat().st_size for path in files) > 8 << 20, "room was left unused"
    finally:
        subprocess.run([tool("umount"), disk], check=True)


def test_a_run_of_so_many_packets_stores_them_although_others_were_dropped(tmp_path: Path) -> None:
    command = ft_capture(
        *("-i", "synth:rate=2Mpps,blocks=2", "-w", tmp_path / "ring.pcapng", "-b", "packets:100"),
        *("-b", "files:5", "-c", "5000", "--report", tmp_path / "report.json"),
    )
    subprocess.run(command, check=True, timeout=60)
    report = json.loads((tmp_path / "report.json").read_text())
    (port,) = report["ports"]
    assert report["balanced"] is True
    assert port["dropped"]["ring"] > 0, "nothing was dropped, so nothing was tested"
    assert port["stored"] == 5000
    assert all(file["packets"] == 100 for file in report["files"])


def test_ring_files_never_replace_what_is_there(link: Lab, tmp_path: Path) -> None:
    for _ in range(2):
        with capturing(link.right, tmp_path / "ring.pcapng", "-b", "packets:100") as engine:
            numbered(link.left, 150)
            engine.stop()
    kept = [
        path for path in tmp_path.iterdir() if re.match(r"ring_\d+_\d+\.pcapng(\.\d+)?$", path.name)
    ]
    assert sorted(len(capturefile.read(path).frames) for path in kept) == [50, 50, 100, 100]


@pytest.mark.parametrize(
    "options",
    [
        ["--busy"],
        ["--prefault"],
        ["-t", "host"],
        ["--cpu", str(min(os.sched_getaffinity(0)))],
        ["--cpu", str(min(os.sched_getaffinity(0))), "--busy", "--prefault"],
    ],
    ids=" ".join,
)
def test_how_a_run_works_inside_changes_nothing_of_what_it_keeps(
    link: Lab, tmp_path: Path, options: list[str]
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, *options) as engine:
        numbered(link.left, 1000)
        report = engine.stop()
    assert numbers([output]) == list(range(1000))
    assert report["ports"][0]["timestamps"] == "host"
    assert_whole(report)


def test_stamps_that_the_port_cannot_give_are_refused_or_marked(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    argv = ft_capture("-i", link.right.port, "-w", output, "-t", "adapter")
    with running(link.right, argv, wait=False) as engine:
        wait_until(
            "it runs or has refused",
            lambda: engine.socket.exists() or engine.process.poll() is not None,
        )
        if engine.process.poll() is not None:
            assert engine.wait() == 2
            assert len(engine.words().splitlines()) == 1
            return
        numbered(link.left, 10)
        engine.stop()
    shown = subprocess.run(
        [tool("tshark"), "-r", output, "-Y", 'frame.comment == "host timestamp"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(shown.stdout.splitlines()) == 10


@pytest.mark.parametrize(
    "options",
    [
        ["-b", "nonsense:1"],
        ["-b", "packets:0"],
        ["-b", "filesize:x"],
        ["-a", "files:0"],
        ["-F", "erf"],
        ["-t", "sundial"],
        ["--cpu", "999"],
        ["--cpu", "1-"],
    ],
    ids=" ".join,
)
def test_a_value_that_is_none_is_named_in_one_line(
    link: Lab, tmp_path: Path, options: list[str]
) -> None:
    argv = ft_capture("-i", link.right.port, "-w", tmp_path / "x.pcapng", *options)
    done = link.right.run(*argv, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert options[1].partition(":")[2] in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_ring_that_may_not_be_written_on_counts_the_frames_of_all_later_files(
    tmp_path: Path,
) -> None:
    report = tmp_path / "report.json"
    argv = ft_capture("-i", "synth:count=30000", "-w", tmp_path / "ring.pcapng", "--report", report)
    done = subprocess.run([*argv, "-b", "packets:1000", "-b", "free:999999GiB"], check=False)
    ledger = json.loads(report.read_text())
    port = ledger["ports"][0]
    assert done.returncode == 1
    assert ledger["balanced"] is True
    assert port["offered"] == 30000
    assert port["stored"] + port["dropped"]["disk"] == 30000


def test_a_ring_cannot_go_to_stdout(link: Lab) -> None:
    argv = ft_capture("-i", link.right.port, "-w", "-", "-b", "packets:100")
    done = link.right.run(*argv, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
