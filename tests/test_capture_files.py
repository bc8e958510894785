"""Capture files, FIFOs and pipes as ports, and what happens to files that are already there."""

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import capturefile
import pytest
from capturefile import write_pcap
from fieldlab import (
    END_TIMEOUT_S,
    End,
    Engine,
    Lab,
    capturing,
    ft_capture,
    program,
    running,
    tool,
    wait_until,
)

FRAMES = [bytes([number % 256]) * (60 + number) for number in range(700)]


@contextmanager
def filling(fifo: Path) -> Iterator[FileIO]:
    """Open a FIFO for writing, once its reader is there."""
    descriptor = -1

    def has_reader() -> bool:
        nonlocal descriptor
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True

    wait_until("the FIFO has a reader", has_reader)
    os.set_blocking(descriptor, True)
    with FileIO(descriptor, "w") as writer:
        yield writer


@contextmanager
def reading(end: End, port: str, output: Path, *options: str) -> Iterator[Engine]:
    """Read a capture from `port`, which needs no network: `end` only gives a place to run."""
    argv = ft_capture("-i", port, "-w", output, *options)
    with running(end, argv, wait=False) as engine:
        yield engine


def wait_until_stored(engine: Engine, frames: int) -> None:
    wait_until("the socket appears", engine.socket.exists)
    wait_until(
        f"{frames} frames are stored", lambda: engine.status()["ports"][0]["stored"] == frames
    )


@pytest.mark.parametrize("option", [[], ["-s", "100"]], ids=["whole", "cut"])
def test_a_capture_file_as_a_port_gives_its_frames_stamps_and_lengths(
    link: Lab, tmp_path: Path, option: list[str]
) -> None:
    source = write_pcap(tmp_path / "source.pcap", FRAMES)
    output = tmp_path / "x.pcapng"
    with reading(link.right, f"file:{source}", output, *option) as engine:
        report = engine.finish()
    kept = int(option[1]) if option else 1 << 20
    packets = capturefile.read(output).packets
    assert [packet.data for packet in packets] == [frame[:kept] for frame in FRAMES]
    assert [packet.length_bytes for packet in packets] == [len(frame) for frame in FRAMES]
    assert [packet.stamp_ns for packet in packets] == [
        1_000_000_000 + 1000 * number for number in range(len(FRAMES))
    ]
    assert report["stop_reason"] == "end of input"
    assert report["balanced"] is True
    assert report["ports"][0]["timestamps"] == "file"
    assert report["ports"][0]["wire"]["source"] is None
    assert capturefile.complaints(output) == []


def test_a_capture_of_a_capture_is_the_same_frames(link: Lab, tmp_path: Path) -> None:
    source = write_pcap(tmp_path / "source.pcap", FRAMES)
    first, second = tmp_path / "1.pcapng", tmp_path / "2.pcapng"
    with reading(link.right, f"file:{source}", first) as engine:
        engine.finish()
    with reading(link.right, f"file:{first}", second) as engine:
        engine.finish()
    assert capturefile.read(second).packets == capturefile.read(first).packets


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_stdin_is_read_as_a_capture(link: Lab, tmp_path: Path, kind: str) -> None:
    source = write_pcap(tmp_path / "source.pcap", FRAMES)
    stored, output = tmp_path / "source", tmp_path / "x.pcapng"
    subprocess.run([tool("editcap"), "-F", kind, source, stored], check=True)
    argv = ft_capture("-i", "-", "-w", output)
    with (
        stored.open("rb") as stdin,
        running(link.right, argv, wait=False, stdin=stdin) as engine,
    ):
        report = engine.finish()
    assert capturefile.read(output).frames == FRAMES
    assert report["ports"][0]["stored"] == report["ports"][0]["offered"] == len(FRAMES)


def test_a_fifo_is_read_until_its_writer_closes_it(link: Lab, tmp_path: Path) -> None:
    data = write_pcap(tmp_path / "source.pcap", FRAMES).read_bytes()
    fifo, output = tmp_path / "fifo", tmp_path / "x.pcapng"
    os.mkfifo(fifo)
    with reading(link.right, f"file:{fifo}", output) as engine:
        with filling(fifo) as writer:
            writer.write(data)
        report = engine.finish()
    assert capturefile.read(output).frames == FRAMES
    assert report["stop_reason"] == "end of input"


def test_frames_of_a_fifo_are_stored_while_its_writer_pauses(link: Lab, tmp_path: Path) -> None:
    data = write_pcap(tmp_path / "source.pcap", FRAMES[:3]).read_bytes()
    fifo, output = tmp_path / "fifo", tmp_path / "x.pcapng"
    os.mkfifo(fifo)
    with reading(link.right, f"file:{fifo}", output) as engine, filling(fifo) as writer:
        writer.write(data)
        wait_until_stored(engine, 3)
        report = engine.stop()
    assert capturefile.read(output).frames == FRAMES[:3]
    assert report["stop_reason"] == "signal"
    assert report["balanced"] is True


def test_a_fifo_without_a_writer_can_be_given_up(link: Lab, tmp_path: Path) -> None:
    fifo, output = tmp_path / "fifo", tmp_path / "x.pcapng"
    os.mkfifo(fifo)
    with reading(link.right, f"file:{fifo}", output) as engine:
        locked = tmp_path / "run/tap/lock"
        wait_until("the engine has its name, signals blocked before that", locked.exists)
        engine.send_signal(signal.SIGINT)
        assert engine.wait() in (0, 130)
        assert engine.words() == ""


def test_two_fifos_are_read_side_by_side(link: Lab, tmp_path: Path) -> None:
    source = write_pcap(tmp_path / "source.pcap", FRAMES)
    fifos, output = [tmp_path / "fifo1", tmp_path / "fifo2"], tmp_path / "x.pcapng"
    for fifo in fifos:
        os.mkfifo(fifo)
    fill = ["sh", "-c", 'exec cat "$1" >"$2"', "sh"]
    with reading(link.right, f"file:{fifos[0]}", output, "-i", f"file:{fifos[1]}") as engine:
        writers = [link.left.start(*fill, source, fifo) for fifo in fifos]
        assert [writer.wait(END_TIMEOUT_S) for writer in writers] == [0, 0]
        report = engine.finish()
    packets = capturefile.read(output).packets
    for number in range(2):
        assert [packet.data for packet in packets if packet.interface == number] == FRAMES
    assert [port["stored"] for port in report["ports"]] == [len(FRAMES)] * 2


def test_a_file_that_is_there_is_kept_under_another_name(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    output.write_text("precious")
    (tmp_path / "x.pcapng.1").write_text("precious too")
    with capturing(link.right, output) as engine:
        engine.stop()
        words = engine.words()
    assert (tmp_path / "x.pcapng.2").read_text() == "precious"
    assert (tmp_path / "x.pcapng.1").read_text() == "precious too"
    assert capturefile.read(output).packets == []
    assert words == f"ft-capture: {output} existed and is now {output}.2\n"


def test_while_a_run_goes_on_its_file_is_partial_and_the_old_one_stays(
    link: Lab, tmp_path: Path
) -> None:
    output, partial = tmp_path / "x.pcapng", tmp_path / "x.pcapng.partial"
    output.write_text("precious")
    with capturing(link.right, output) as engine:
        assert partial.exists()
        assert output.read_text() == "precious"
        engine.stop()
    assert not partial.exists()


def test_what_a_killed_engine_left_is_mended_at_the_next_start(link: Lab, tmp_path: Path) -> None:
    output, partial = tmp_path / "x.pcapng", tmp_path / "x.pcapng.partial"
    source = tmp_path / "fifo"
    os.mkfifo(source)
    data = write_pcap(tmp_path / "source.pcap", FRAMES[:5]).read_bytes()
    with reading(link.right, f"file:{source}", output) as engine, filling(source) as writer:
        writer.write(data)
        wait_until_stored(engine, 5)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    assert partial.exists()
    with capturing(link.right, output) as engine:
        assert capturefile.read(output).frames == FRAMES[:5]
        engine.stop()
    assert not partial.exists()
    assert capturefile.read(Path(f"{output}.1")).frames == FRAMES[:5]
    assert capturefile.complaints(Path(f"{output}.1")) == []
    assert capturefile.read(output).frames == []


def test_a_capture_that_makes_way_takes_its_index_along(link: Lab, tmp_path: Path) -> None:
    output, source = tmp_path / "x.pcapng", write_pcap(tmp_path / "source.pcap", FRAMES)
    with reading(link.right, f"file:{source}", output) as engine:
        engine.finish()
    first = Path(f"{output}.idx").read_bytes()
    with reading(link.right, f"file:{source}", output) as engine:
        engine.finish()
    assert Path(f"{output}.1.idx").read_bytes() == first
    assert Path(f"{output}.idx").exists()


def test_two_runs_never_write_one_file(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, name="first") as first:
        argv = ft_capture("-i", link.right.port, "-w", output)
        with running(link.right, argv, name="second", wait=False) as second:
            assert second.wait() == 1
            words = second.words()
        first.stop()
    assert words == (
        f"ft-capture: -w {output}: a running capture is writing it; choose another name\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_inherited_as_ignored_still_end_a_run(
    link: Lab, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "x.pcapng"
    ignoring = ["sh", "-c", 'trap "" INT TERM HUP; exec "$@"', "sh"]
    argv = [*ignoring, *ft_capture("-i", link.right.port, "-w", output)]
    with running(link.right, argv) as engine:
        report = engine.stop(number)
    assert report["stop_reason"] == "signal"
    assert output.exists()


def test_a_hangup_does_not_end_a_run(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        engine.send_signal(signal.SIGHUP)
        assert engine.status()["state"] == "running"
        engine.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_ran_leaves_nothing_behind(
    link: Lab, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "x.pcapng"
    pending = (
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {int(sys.argv[1])})\n"
        "os.kill(os.getpid(), int(sys.argv[1]))\n"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    engine = ft_capture("-i", link.right.port, "-w", output)
    done = link.right.run("python3", "-c", pending, str(int(number)), *engine, check=False)
    assert done.returncode == 130
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".ports"]


def test_closed_standard_streams_are_not_taken_for_files(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    argv = [*closing, program("ft-capture"), "-i", link.right.port, "-w", str(output)]
    with running(link.right, argv) as engine:
        engine.stop()
    assert capturefile.read(output).packets == []
    assert capturefile.complaints(output) == []


def test_a_capture_to_a_closed_stdout_is_an_error_in_one_line(link: Lab) -> None:
    closing = ["sh", "-c", 'exec "$@" >&-', "sh"]
    argv = [*closing, *ft_capture("-i", link.right.port, "-w", "-")]
    done = link.right.run(*argv, check=False)
    assert done.returncode == 1
    assert done.stderr == "ft-capture: writing -: Bad file descriptor\n"
